import type { StatementSync } from "node:sqlite";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type Artifact,
  type ArtifactKind,
  ArtifactSchema,
  type ReadableArtifact,
  type SessionResult,
  SessionResultSchema,
} from "../../proto/index.ts";
import type { ArtifactFiles, ArtifactPlace } from "./artifact-files.ts";
import type { IncomingArtifact, LeftStore, SessionLeft } from "./session-store.ts";
import type { StoreFile } from "./store-file.ts";

/** Tables of what sessions left, in a store's file. The artifacts' bytes are in files of their own. */
export class LeftTables implements LeftStore {
  readonly #file: StoreFile;
  readonly #files: ArtifactFiles;
  readonly #putResult: StatementSync;
  readonly #getResult: StatementSync;
  readonly #putArtifact: StatementSync;
  readonly #getArtifact: StatementSync;

  constructor(file: StoreFile, files: ArtifactFiles) {
    const { database } = file;
    this.#file = file;
    this.#files = files;
    this.#putResult = database.prepare("INSERT OR REPLACE INTO result (session_id, result) VALUES (?, ?)");
    this.#getResult = database.prepare("SELECT result FROM result WHERE session_id = ?");
    this.#putArtifact = database.prepare(
      "INSERT OR REPLACE INTO artifact (session_id, kind, size_bytes, sha256) VALUES (?, ?, ?, ?)",
    );
    this.#getArtifact = database.prepare("SELECT size_bytes, sha256 FROM artifact WHERE session_id = ? AND kind = ?");
  }

  /** Removes the files of artifacts that no row names: what a host was receiving when it ended. */
  sweep(): void {
    const named = this.#file.database.prepare("SELECT session_id AS sessionId, kind FROM artifact");
    this.#files.sweep(this.#file.read(() => named.all() as unknown as ArtifactPlace[]));
  }

  createArtifact(sessionId: string, kind: ArtifactKind, announced?: Artifact): Promise<IncomingArtifact> {
    return this.#files.create({ sessionId, kind }, announced);
  }

  put(sessionId: string, { result, artifacts }: SessionLeft): void {
    this.#file.write({ failed: `The result of ${sessionId} could not be stored.` }, () => {
      this.#putResult.run(sessionId, toBinary(SessionResultSchema, result));
      for (const { artifact } of artifacts) {
        this.#putArtifact.run(sessionId, artifact.kind, artifact.sizeBytes, artifact.sha256);
      }
    });
  }

  getResult(sessionId: string): SessionResult | undefined {
    const row = this.#file.read(() => this.#getResult.get(sessionId));
    return row && fromBinary(SessionResultSchema, row["result"] as Uint8Array);
  }

  getArtifact(sessionId: string, kind: ArtifactKind): ReadableArtifact | undefined {
    const row = this.#file.read(() => this.#getArtifact.get(sessionId, kind));
    if (row === undefined) return undefined;
    const artifact = create(ArtifactSchema, {
      kind,
      sizeBytes: BigInt(row["size_bytes"] as number),
      sha256: row["sha256"] as Uint8Array,
    });
    return this.#files.stored({ sessionId, kind }, artifact);
  }
}
