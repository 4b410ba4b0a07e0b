import { createHash } from "node:crypto";
import { closeSync, fsyncSync, mkdtempSync, openSync, readdirSync, rmSync, writeSync } from "node:fs";
import { type FileHandle, open, rename, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  AppError,
  type Artifact,
  ArtifactCheck,
  type ArtifactKind,
  artifactName,
  PIECE_BYTES,
  type ReadableArtifact,
} from "../../proto/index.ts";
import { makeDirectory } from "../make-directory.ts";
import type { IncomingArtifact } from "./session-store.ts";
import { storeError } from "./store-error.ts";

/** Place of an artifact: the session that left it, and its kind. */
export interface ArtifactPlace {
  sessionId: string;
  kind: ArtifactKind;
}

/**
 * Files of artifacts, in a private directory beside the store: one for each artifact that has bytes. A file counts once a
 * row of the store names it. That row is written after the file is whole and on the disk. `sweep` removes what no row names.
 */
export class ArtifactFiles implements Disposable {
  /** Undefined: it is made when it is needed, and goes with this. */
  readonly #stays: string | undefined;
  #temporary: string | undefined;

  private constructor(directory: string | undefined) {
    this.#stays = directory;
  }

  /**
   * Opens the directory that belongs to a store's file, and makes it. A store in memory has a temporary one, until this is
   * disposed of. Throws STORE_FAILED, STORE_NOT_WRITABLE.
   */
  static open(storePath: string): ArtifactFiles {
    if (storePath === ":memory:") return new ArtifactFiles(undefined);
    const directory = join(dirname(storePath), "artifacts");
    try {
      makeDirectory(directory);
    } catch (error) {
      throw storeError(error, { path: directory, failed: "The session store cannot be opened." });
    }
    return new ArtifactFiles(directory);
  }

  /**
   * Begins an artifact's file, which the caller disposes of. Throws PATCH_TOO_LARGE, TRANSCRIPT_TOO_LARGE or
   * ARTIFACT_INVALID for what is announced and cannot be, STORE_FAILED (retryable) for want of room.
   */
  async create(place: ArtifactPlace, announced?: Artifact): Promise<IncomingArtifact> {
    const check = new ArtifactCheck(place.kind, { announced, hash: createHash("sha256") });
    const path = this.#pathOf(place);
    const failed = failedToStore(place);
    if (announced !== undefined && announced.sizeBytes > 0n) {
      await this.#requireRoom(announced.sizeBytes, { path, failed });
    }
    const toStored = (artifact: Artifact) => this.stored(place, artifact);
    return new IncomingFile({ path, check, failed, toStored });
  }

  /** Returns an artifact whose row is there. Its file is opened when it is read, which throws STORE_CORRUPT if it is gone. */
  stored(place: ArtifactPlace, artifact: Artifact): ReadableArtifact {
    const path = this.#pathOf(place);
    return { artifact, read: ({ offset = 0 } = {}) => readFile(path, { artifact, offset }) };
  }

  /** Writes an artifact's file before it returns, for a migration. Returns the SHA-256. `sync` is to follow. */
  writeNow(place: ArtifactPlace, bytes: Uint8Array): Uint8Array {
    const path = this.#pathOf(place);
    try {
      if (bytes.length > 0) {
        const file = openSync(path, "w", 0o600);
        try {
          for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
          fsyncSync(file);
        } finally {
          closeSync(file);
        }
      }
    } catch (error) {
      throw storeError(error, { path, failed: failedToStore(place) });
    }
    return createHash("sha256").update(bytes).digest();
  }

  /** Syncs the directory to the disk, so that the files of `writeNow` keep their names. */
  sync(): void {
    if (!this.#isThere) return;
    const directory = openSync(this.#directory, "r");
    fsyncSync(directory);
    closeSync(directory);
  }

  /** Removes an artifact's file, if it has one. A reader that has it open can go on. */
  async remove(place: ArtifactPlace): Promise<void> {
    if (!this.#isThere) return;
    await rm(this.#pathOf(place), { force: true });
  }

  /** Removes every file of no known artifact, such as a killed host leaves. */
  sweep(known: readonly ArtifactPlace[]): void {
    if (this.#stays === undefined) return;
    const names = new Set(known.map(nameOf));
    for (const name of readdirSync(this.#directory)) {
      if (!names.has(name)) rmSync(join(this.#directory, name), { force: true, recursive: true });
    }
  }

  [Symbol.dispose](): void {
    if (this.#temporary !== undefined) rmSync(this.#temporary, { recursive: true, force: true });
    this.#temporary = undefined;
  }

  get #isThere(): boolean {
    return this.#stays !== undefined || this.#temporary !== undefined;
  }

  get #directory(): string {
    return this.#stays ?? (this.#temporary ??= mkdtempSync(join(tmpdir(), "claudecluster-artifacts-")));
  }

  #pathOf(place: ArtifactPlace): string {
    return join(this.#directory, nameOf(place));
  }

  async #requireRoom(bytes: bigint, options: { path: string; failed: string }): Promise<void> {
    // Where the directory was removed, the first write says so.
    const { bavail, bsize } = await statfs(this.#directory, { bigint: true }).catch(() => ({
      bavail: bytes,
      bsize: 1n,
    }));
    if (bavail * bsize < bytes) throw storeError({ code: "ENOSPC" }, options);
  }
}

/** Returns the name of an artifact's file. */
export function nameOf({ sessionId, kind }: ArtifactPlace): string {
  return `${sessionId}.${artifactName(kind)}`;
}

function failedToStore({ sessionId, kind }: ArtifactPlace): string {
  return `The ${artifactName(kind)} of ${sessionId} could not be stored.`;
}

/** File that an artifact's bytes come into: under another name until they are all there, checked and on the disk. */
class IncomingFile implements IncomingArtifact {
  readonly #path: string;
  readonly #check: ArtifactCheck;
  readonly #failed: string;
  readonly #toStored: (artifact: Artifact) => ReadableArtifact;
  #file: FileHandle | undefined;

  constructor(options: {
    path: string;
    check: ArtifactCheck;
    failed: string;
    toStored: (artifact: Artifact) => ReadableArtifact;
  }) {
    this.#path = options.path;
    this.#check = options.check;
    this.#failed = options.failed;
    this.#toStored = options.toStored;
  }

  get sizeBytes(): number {
    return this.#check.sizeBytes;
  }

  async append(data: Uint8Array): Promise<void> {
    if (data.length === 0) return;
    this.#check.add(data);
    await this.#storing(async () => {
      this.#file ??= await open(this.#partPath, "w", 0o600);
      await this.#file.writeFile(data);
    });
  }

  async complete(): Promise<ReadableArtifact> {
    const artifact = this.#check.finish();
    const file = this.#file;
    await this.#storing(async () => {
      // Of an earlier one that came for nothing.
      if (file === undefined) return await rm(this.#path, { force: true });
      await file.sync();
      await file.close();
      this.#file = undefined;
      await rename(this.#partPath, this.#path);
      await using directory = await open(dirname(this.#path));
      await directory.sync();
    });
    return this.#toStored(artifact);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return;
    await file.close().catch(() => {});
    await rm(this.#partPath, { force: true });
  }

  get #partPath(): string {
    return `${this.#path}.part`;
  }

  async #storing(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      throw storeError(error, { path: this.#path, failed: this.#failed });
    }
  }
}

/** Reads an artifact's file. Throws STORE_CORRUPT where it is not there, or not as long as it was. */
async function* readFile(
  path: string,
  { artifact, offset }: { artifact: Artifact; offset: number },
): AsyncGenerator<Uint8Array> {
  const size = Number(artifact.sizeBytes);
  if (offset >= size) return;
  const file = await open(path).catch((error: unknown) => {
    throw damaged(path, error);
  });
  try {
    for (let at = offset; at < size;) {
      const length = Math.min(PIECE_BYTES, size - at);
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, at);
      if (bytesRead === 0) throw damaged(path);
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

function damaged(path: string, cause?: unknown): AppError {
  return new AppError("STORE_CORRUPT", `${path} is not there, or shorter than it was.`, {
    help: "Restore it from a backup. What else is known of its session is not touched by this.",
    metadata: { path },
    cause,
  });
}
