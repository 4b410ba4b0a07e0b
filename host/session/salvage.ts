import { createHash } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import {
  type Artifact,
  Artifact_Kind,
  ArtifactSchema,
  type FileChange,
  FileChange_Kind,
  findPatchMismatch,
  type ReadableArtifact,
  TurnAnswers,
  type Usage,
} from "../../proto/index.ts";
import type { SessionLog } from "./session-log.ts";

/** Events that are read before others get their turn. */
const STRIDE_EVENTS = 200;

type Log = Pick<SessionLog, "all" | "event">;

/** What is known of a session's result from its log alone. */
export interface Salvage {
  changes: FileChange[];
  patch: SalvagedPatch;
  /** Claude was at work: there may have been changes that are not in the patch. */
  patchTruncated: boolean;
  usage?: Usage;
  finalText: string;
  finalTextTruncated: boolean;
  finalTextTurn: number;
  conversationId: string;
  baseCommitId: string;
}

/** One file's diff, by the numbers of the events that hold its parts. */
interface Diff {
  change: FileChange;
  sequences: number[];
}

/** Patch that is put together from events as it is read: it takes no memory. */
export class SalvagedPatch implements ReadableArtifact {
  readonly artifact: Artifact;
  readonly #log: Log;
  readonly #sequences: readonly number[];

  private constructor(artifact: Artifact, log: Log, sequences: readonly number[]) {
    this.artifact = artifact;
    this.#log = log;
    this.#sequences = sequences;
  }

  /** Reads it once, to know its size and hash. */
  static async of(log: Log, sequences: readonly number[]): Promise<SalvagedPatch> {
    const hash = createHash("sha256");
    let sizeBytes = 0;
    for await (const part of readParts(log, sequences)) {
      hash.update(part);
      sizeBytes += part.length;
    }
    const facts = { kind: Artifact_Kind.PATCH, sizeBytes: BigInt(sizeBytes), sha256: new Uint8Array(hash.digest()) };
    return new SalvagedPatch(create(ArtifactSchema, facts), log, sequences);
  }

  /** See ReadableArtifact. Ends early where the session is removed meanwhile. */
  async *read({ offset = 0 } = {}): AsyncGenerator<Uint8Array> {
    let skip = offset;
    for await (const part of readParts(this.#log, this.#sequences)) {
      if (part.length > skip) yield part.subarray(skip);
      skip = Math.max(0, skip - part.length);
    }
  }
}

async function* readParts(log: Log, sequences: readonly number[]): AsyncGenerator<Uint8Array> {
  let count = 0;
  for (const sequence of sequences) {
    const event = log.event(sequence)?.event;
    if (event?.case === "filePatched") yield event.value.patch;
    if (++count % STRIDE_EVENTS === 0) await turn();
  }
}

/**
 * Puts the changes together from the diffs that were streamed: what is left when the container is
 * gone. A file whose diff had not come whole keeps the one before; one whose diff is another file's is left out.
 */
export async function salvageChanges(log: Log): Promise<Salvage> {
  const files = new Map<string, Diff>();
  const answers = new TurnAnswers();
  let count = 0;
  let incoming: Diff | undefined;
  const known: Pick<
    Salvage,
    | "patchTruncated"
    | "usage"
    | "finalText"
    | "finalTextTruncated"
    | "finalTextTurn"
    | "conversationId"
    | "baseCommitId"
  > = {
    patchTruncated: false,
    finalText: "",
    finalTextTruncated: false,
    finalTextTurn: 0,
    conversationId: "",
    baseCommitId: "",
  };
  for (const { sequence, event } of log.all()) {
    if (++count % STRIDE_EVENTS === 0) await turn();
    if (event.case === "turnStarted") known.patchTruncated = true;
    if (event.case === "claudeReady") known.conversationId = event.value.conversationId;
    if (event.case === "workspaceReady") known.baseCommitId = event.value.baseCommitId;
    if (event.case === "answerPart") answers.add(event.value);
    if (event.case === "turnFinished") {
      const { text, truncated, turn } = answers.of(event.value);
      if (text !== "") Object.assign(known, { finalText: text, finalTextTruncated: truncated, finalTextTurn: turn });
    }
    if ((event.case === "usageUpdated" || event.case === "turnFinished") && event.value.usage !== undefined) {
      known.usage = event.value.usage;
    }
    if (event.case !== "filePatched" || event.value.change === undefined) continue;
    const { change, partIndex, partCount } = event.value;
    if (change.kind === FileChange_Kind.REVERTED) {
      files.delete(change.path);
      continue;
    }
    if (partIndex === 0) incoming = { change, sequences: [] };
    if (incoming?.change.path !== change.path || incoming.sequences.length !== partIndex) continue;
    incoming.sequences.push(sequence);
    if (incoming.sequences.length === partCount) files.set(change.path, incoming);
  }
  for (const [path, { change, sequences }] of files) {
    const mismatch = await findPatchMismatch(readParts(log, sequences), { changes: [change], changeCount: 1 });
    if (mismatch === undefined) continue;
    files.delete(path);
    known.patchTruncated = true;
  }
  // Deleted files first, so that a file may take the place of a directory.
  const sorted = [...files.values()].sort(
    (a, b) => rank(a.change) - rank(b.change) || compare(a.change.path, b.change.path),
  );
  return {
    ...known,
    changes: sorted.map(({ change }) => change),
    patch: await SalvagedPatch.of(
      log,
      sorted.flatMap(({ sequences }) => sequences),
    ),
  };
}

function rank(change: FileChange): number {
  return change.kind === FileChange_Kind.DELETED ? 0 : 1;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
