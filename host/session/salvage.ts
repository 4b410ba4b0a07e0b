import {
  type FileChange,
  FileChange_Kind,
  findPatchMismatch,
  type SessionEvent,
  TurnAnswers,
  type Usage,
} from "../../proto/index.ts";

/** What is known of a session's result from its log alone. */
export interface Salvage {
  changes: FileChange[];
  patch: Uint8Array;
  /** Claude was at work: there may have been changes that are not in the patch. */
  patchTruncated: boolean;
  usage?: Usage;
  finalText: string;
  finalTextTruncated: boolean;
  finalTextTurn: number;
  conversationId: string;
  baseCommitId: string;
}

interface Parts {
  change: FileChange;
  parts: Uint8Array[];
}

/**
 * Puts the changes together from the diffs that were streamed: what is left when the container is
 * gone. A file whose diff had not come whole keeps the one before; one whose diff is another file's is left out.
 */
export async function salvageChanges(events: Iterable<SessionEvent>): Promise<Salvage> {
  const files = new Map<string, Parts>();
  const answers = new TurnAnswers();
  let incoming: Parts | undefined;
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
  for (const { event } of events) {
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
    const { change, patch, partIndex, partCount } = event.value;
    if (change.kind === FileChange_Kind.REVERTED) {
      files.delete(change.path);
      continue;
    }
    if (partIndex === 0) incoming = { change, parts: [] };
    if (incoming?.change.path !== change.path || incoming.parts.length !== partIndex) continue;
    incoming.parts.push(patch);
    if (incoming.parts.length === partCount) files.set(change.path, incoming);
  }
  for (const [path, { change, parts }] of files) {
    const mismatch = await findPatchMismatch(parts, { changes: [change], changeCount: 1 });
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
    patch: Buffer.concat(sorted.flatMap(({ parts }) => parts)),
  };
}

function rank(change: FileChange): number {
  return change.kind === FileChange_Kind.DELETED ? 0 : 1;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
