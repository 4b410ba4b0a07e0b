import type { Logger } from "../log.ts";
import {
  AppError,
  type Failure,
  type FileChange,
  type IgnoredFiles,
  type LeftOut,
  type LeftWork,
  MAX_TRANSCRIPT_BYTES,
  type SkippedFilter,
} from "../../proto/index.ts";
import { CommitBundle } from "../git/commit-bundle.ts";
import { type Collected as WorkspaceChanges, PatchTooLargeError } from "../git/final-changes.ts";
import { isConversationId } from "../claude/transcript.ts";
import type { Workspace } from "../git/workspace.ts";
import type { ChangesStream } from "./changes-stream.ts";
import { failureOf } from "./outcome.ts";
import type { SessionPlace } from "./session-place.ts";

/** Changes that a session leaves in its workspace. */
export interface Collected {
  readonly patch: Buffer;
  readonly changes: readonly FileChange[];
  readonly unreadablePaths: readonly string[];
  readonly unconvertedPaths: readonly string[];
  readonly skippedFilters: readonly SkippedFilter[];
  readonly unreadableReasons: readonly LeftOut[];
  /** Tree that the patch makes. Empty: not known. */
  readonly treeId: string;
  /** Commit that Claude's repository has checked out. Empty: it does not say. */
  readonly headCommitId: string;
  /** New files that git ignores. Undefined: not known. */
  readonly ignoredFiles: IgnoredFiles | undefined;
  /** Comparison that the search for left work needs. Undefined: the work tree could not be compared. */
  readonly compared: Pick<WorkspaceChanges, "entries" | "checkouts" | "staged"> | undefined;
  /** Whether the patch may lack files. */
  readonly incomplete: boolean;
  /** Reason why the patch is not complete. Undefined: it is. */
  readonly failure: Failure | undefined;
}

/** Changes of a session that has left none. */
export const NOTHING_COLLECTED: Collected = {
  patch: Buffer.alloc(0),
  changes: [],
  unreadablePaths: [],
  unconvertedPaths: [],
  skippedFilters: [],
  unreadableReasons: [],
  treeId: "",
  headCommitId: "",
  ignoredFiles: undefined,
  compared: undefined,
  incomplete: false,
  failure: undefined,
};

/** Ends the processes that a session has left. Returns why some could not be ended. Does not throw. */
export async function endLeftovers(
  place: Pick<SessionPlace, "killLeftovers">,
  log: Logger,
): Promise<Failure | undefined> {
  try {
    await place.killLeftovers();
    return undefined;
  } catch (error) {
    log.error({ err: error }, "some processes of the session could not be ended");
    return failureOf(error);
  }
}

/**
 * Emits the last diffs and collects the patch, once nothing runs that could change a file. Does not throw: a session
 * whose changes cannot be collected still ends.
 */
export async function collectChanges(
  workspace: Pick<Workspace, "collect">,
  changes: ChangesStream,
  { signal, log }: { signal: AbortSignal; log: Logger },
): Promise<Collected> {
  // The diffs are what is left if the container goes before the patch has been read.
  const scanned = changes.scan({ signal }).catch((error: unknown) => log.warn({ err: error }, "the last scan failed"));
  const collected = await collectWhole(workspace, { signal, log });
  await scanned;
  return collected;
}

async function collectWhole(
  workspace: Pick<Workspace, "collect">,
  { signal, log }: { signal: AbortSignal; log: Logger },
): Promise<Collected> {
  try {
    const collected = await workspace.collect({ signal, last: true });
    return { ...collected, compared: collected, failure: undefined };
  } catch (error) {
    log.error({ err: error }, "collecting the changes failed");
    if (error instanceof PatchTooLargeError) {
      return { ...error.collected, compared: error.collected, failure: failureOf(error) };
    }
    return { ...NOTHING_COLLECTED, failure: failureOf(collectError(error, signal)) };
  }
}

/** Work beside the work tree, and the artifact of Claude's commits. */
export interface CollectedLeftWork {
  /** Undefined: not known. */
  readonly leftWork: LeftWork | undefined;
  /** Empty: there are none, or none could be read. */
  readonly commits: Buffer;
}

/** Returns what Claude's repository holds beside the work tree, even if the patch was too large. Does not throw. */
export async function collectLeftWork(
  workspace: Pick<Workspace, "findLeftWork">,
  { compared }: Pick<Collected, "compared">,
  { signal, log }: { signal: AbortSignal; log: Logger },
): Promise<CollectedLeftWork> {
  const nothing = { leftWork: undefined, commits: Buffer.alloc(0) };
  if (compared === undefined) return nothing;
  try {
    const bundle = new CommitBundle();
    const leftWork = await workspace.findLeftWork(compared, { bundle, signal });
    return { leftWork, commits: bundle.bytes() };
  } catch (error) {
    log.warn({ err: error }, "looking for work beside the work tree failed");
    return nothing;
  }
}

/**
 * Returns the transcript of the conversation, once Claude is gone; empty if there is none. Does not throw: without it
 * the session can still be continued, but not its conversation.
 */
export async function collectTranscript(
  place: Pick<SessionPlace, "readTranscript">,
  conversationId: string,
  { signal, log }: { signal: AbortSignal; log: Logger },
): Promise<Buffer> {
  // Claude has said what it is, and may say anything.
  if (!isConversationId(conversationId)) return Buffer.alloc(0);
  try {
    return await place.readTranscript(conversationId, { maxBytes: MAX_TRANSCRIPT_BYTES, signal });
  } catch (error) {
    log.warn({ err: error }, "collecting the transcript failed");
    return Buffer.alloc(0);
  }
}

function collectError(cause: unknown, signal: AbortSignal): AppError {
  const message = cause instanceof Error ? cause.message : String(cause);
  const why = signal.aborted ? "it took too long" : message;
  return new AppError("COLLECT_FAILED", `The changes could not be collected: ${why}.`, {
    cause,
    metadata: { error: why },
    help: "The diffs that were streamed before hold what is known of them.",
  });
}
