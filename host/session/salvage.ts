import { createHash } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import {
  type Artifact,
  Artifact_Kind,
  ArtifactSchema,
  type FileChange,
  FileChange_Kind,
  type FilePatched,
  findPatchMismatch,
  type ReadableArtifact,
} from "../../proto/index.ts";
import type { DiffPlace } from "../store/session-store.ts";
import type { SessionLog } from "./session-log.ts";

/** Diffs that are read before others get their turn. */
const STRIDE = 200;

type Log = Pick<SessionLog, "diffs" | "between">;

/** Changes that were put together from a session's log alone. */
export interface SalvagedChanges {
  changes: FileChange[];
  patch: SalvagedPatch;
  /** Whether a diff was left out: it is another file's, or gone. */
  incomplete: boolean;
}

/** Patch that is put together from a session's log whenever it is read. Nothing of it is held in memory. */
export class SalvagedPatch implements ReadableArtifact {
  readonly artifact: Artifact;
  readonly #log: Log;
  readonly #diffs: readonly DiffPlace[];

  private constructor(artifact: Artifact, log: Log, diffs: readonly DiffPlace[]) {
    this.artifact = artifact;
    this.#log = log;
    this.#diffs = diffs;
  }

  /** Makes the patch of these diffs, and reads it once for its size and hash. */
  static async of(log: Log, diffs: readonly DiffPlace[]): Promise<SalvagedPatch> {
    const hash = createHash("sha256");
    let sizeBytes = 0;
    for await (const part of readParts(log, diffs)) {
      hash.update(part);
      sizeBytes += part.length;
    }
    const facts = { kind: Artifact_Kind.PATCH, sizeBytes: BigInt(sizeBytes), sha256: new Uint8Array(hash.digest()) };
    return new SalvagedPatch(create(ArtifactSchema, facts), log, diffs);
  }

  /** See ReadableArtifact. Ends early where the session is removed meanwhile. */
  async *read({ offset = 0 } = {}): AsyncGenerator<Uint8Array> {
    let skip = offset;
    for await (const part of readParts(this.#log, this.#diffs)) {
      if (part.length > skip) yield part.subarray(skip);
      skip = Math.max(0, skip - part.length);
    }
  }
}

async function* readParts(log: Log, diffs: readonly DiffPlace[]): AsyncGenerator<Uint8Array> {
  let count = 0;
  for (const diff of diffs) {
    for await (const { patch } of partsOf(log, diff)) yield patch;
    if (++count % STRIDE === 0) await turn();
  }
}

/** A file's diff, part by part. Between them may be other events. */
async function* partsOf(log: Log, { path, firstSequence, lastSequence }: DiffPlace): AsyncGenerator<FilePatched> {
  let count = 0;
  for await (const { event } of log.between(firstSequence, lastSequence)) {
    if (event.case !== "filePatched" || event.value.change?.path !== path || event.value.partIndex !== count) continue;
    count += 1;
    yield event.value;
  }
}

/**
 * Salvages a session's changes from the newest diffs in its log: what is left when the container is gone. Reads nothing else,
 * however long the log is. A file whose newest diff has not come whole keeps the one before. A diff of another file is left out.
 */
export async function salvageChanges(log: Log): Promise<SalvagedChanges> {
  const files: { change: FileChange; diff: DiffPlace }[] = [];
  const { diffs } = log;
  for (const diff of diffs) {
    const { value: first } = await partsOf(log, { ...diff, lastSequence: diff.firstSequence }).next();
    const change = (first as FilePatched | undefined)?.change;
    if (change === undefined) continue;
    const mismatch = await findPatchMismatch(readParts(log, [diff]), { changes: [change], changeCount: 1 });
    if (mismatch === undefined) files.push({ change, diff });
    if (files.length % STRIDE === 0) await turn();
  }
  // Deleted files first, so that a file may take the place of a directory.
  files.sort((a, b) => rank(a.change) - rank(b.change));
  return {
    changes: files.map(({ change }) => change),
    patch: await SalvagedPatch.of(
      log,
      files.map(({ diff }) => diff),
    ),
    incomplete: files.length < diffs.length,
  };
}

function rank(change: FileChange): number {
  return change.kind === FileChange_Kind.DELETED ? 0 : 1;
}
