import { create, toBinary } from "@bufbuild/protobuf";
import { cutText, lastBytes } from "./cut.ts";
import type { Session } from "./gen/claudecluster/session/v1alpha1/session_pb.ts";
import {
  type CommandResult,
  CommandResultSchema,
  type Failure,
  FailureSchema,
  type FileChange,
  FileChangeSchema,
  LeftWork_ItemSchema,
  type SessionResult,
  SessionResultSchema,
  type SetupResult,
  SetupResultSchema,
} from "./gen/claudecluster/session/v1alpha1/session_result_pb.ts";
import { MAX_ANSWER_BYTES } from "./turn-answers.ts";

const KIB = 1024;
const FAILURE_MESSAGE_BYTES = 6 * KIB;
const FAILURE_METADATA_BYTES = 4 * KIB;
/** More than any signal's name has. */
const SIGNAL_BYTES = 32;

/** Most bytes that each part of a result may have, and most skipped filters. */
export interface ResultSize {
  /** Bytes of the final text. */
  textBytes: number;
  changesBytes: number;
  unreadableBytes: number;
  unconvertedBytes: number;
  /** Bytes of the paths that the setup has changed. */
  setupBytes: number;
  /** Bytes of the output of setup and check, each. */
  outputBytes: number;
  /** Bytes of left_work, and again of ignored_files: both tell of work that is not in the patch. */
  leftBytes: number;
  patchFailureBytes: number;
  filterCount: number;
}

/** Size of a result in the answer of GetSession: altogether below gRPC's usual 4 MiB. */
export const WHOLE_RESULT: ResultSize = {
  textBytes: MAX_ANSWER_BYTES,
  changesBytes: 1024 * KIB,
  unreadableBytes: 48 * KIB,
  unconvertedBytes: 48 * KIB,
  setupBytes: 16 * KIB,
  outputBytes: 2 * KIB,
  leftBytes: 32 * KIB,
  patchFailureBytes: FAILURE_MESSAGE_BYTES,
  filterCount: 10,
};

/** Size of a result in a session's last event: altogether well below 64 KiB. */
export const EVENT_RESULT: ResultSize = {
  textBytes: 16 * KIB,
  changesBytes: 16 * KIB,
  unreadableBytes: 6 * KIB,
  unconvertedBytes: 3 * KIB,
  setupBytes: KIB,
  outputBytes: KIB,
  leftBytes: 2 * KIB,
  patchFailureBytes: 2 * KIB,
  filterCount: 1,
};

/** Size of a result where a session is only named: the start of its text, and no lists. */
export const BRIEF_RESULT: ResultSize = {
  textBytes: 4 * KIB,
  changesBytes: 0,
  unreadableBytes: 0,
  unconvertedBytes: 0,
  setupBytes: 0,
  outputBytes: 0,
  leftBytes: 0,
  patchFailureBytes: 2 * KIB,
  filterCount: 0,
};

/** Size of a result in a list of sessions: no text, no lists. */
const LISTED_RESULT: ResultSize = { ...BRIEF_RESULT, textBytes: 0 };

/**
 * Returns a result with its lists and texts cut to a size. Its counts stay, so a reader sees what is missing. A
 * container may have put anything into it.
 */
export function cutResult(result: SessionResult, size: ResultSize): SessionResult {
  const { outcome, leftWork, ignoredFiles, patchFailure, check, setup } = result;
  const { text, truncated } = cutText(result.finalText, size.textBytes);
  const unreadablePaths = cutPaths(result.unreadablePaths, size.unreadableBytes);
  return create(SessionResultSchema, {
    ...result,
    outcome: outcome.case === "failure" ? { case: "failure", value: cutFailure(outcome.value) } : outcome,
    finalText: text,
    finalTextTruncated: result.finalTextTruncated || truncated,
    changes: cutChanges(result.changes, size.changesBytes),
    unreadablePaths,
    unreadableReasons: result.unreadableReasons.slice(0, unreadablePaths.length),
    unconvertedPaths: cutPaths(result.unconvertedPaths, size.unconvertedBytes),
    skippedFilters: result.skippedFilters.slice(0, size.filterCount),
    ...(patchFailure && { patchFailure: cutFailure(patchFailure, size.patchFailureBytes) }),
    ...(leftWork && {
      leftWork: {
        ...leftWork,
        items: takeWhileFits(leftWork.items, size.leftBytes, (item) => toBinary(LeftWork_ItemSchema, item).length),
      },
    }),
    ...(ignoredFiles && {
      ignoredFiles: { ...ignoredFiles, paths: cutPaths(ignoredFiles.paths, size.leftBytes) },
    }),
    ...(check && { check: cutCommand(check, size.outputBytes) }),
    ...(setup && { setup: cutSetup(setup, size) }),
  });
}

/** Returns the result of a setup, cut to a size. A container may have put anything into it. */
export function cutSetup(
  { result, changedPaths, ...counts }: SetupResult,
  size: Pick<ResultSize, "setupBytes" | "outputBytes"> = WHOLE_RESULT,
): SetupResult {
  return create(SetupResultSchema, {
    ...counts,
    ...(result && { result: cutCommand(result, size.outputBytes) }),
    changedPaths: cutPaths(changedPaths, size.setupBytes),
  });
}

/** Returns the result of a command with at most so many bytes of the end of its output. */
function cutCommand(result: CommandResult, outputBytes: number): CommandResult {
  const outputTail = lastBytes(result.outputTail, outputBytes);
  return create(CommandResultSchema, { ...result, signal: cutText(result.signal, SIGNAL_BYTES).text, outputTail });
}

/** Cuts from a session, in place, what is too large for a list of many. Returns the session. */
export function cutListed(session: Session): Session {
  if (session.result !== undefined) session.result = cutResult(session.result, LISTED_RESULT);
  if (session.live !== undefined) {
    session.live.changes = [];
    delete session.live.answer;
  }
  return session;
}

/** Returns the first changes, as many as fit. */
export function cutChanges(changes: readonly FileChange[], maxBytes: number): FileChange[] {
  return takeWhileFits(changes, maxBytes, (change) => toBinary(FileChangeSchema, change).length);
}

/** Returns a failure whose message and metadata are cut to a size. A container may have put anything into it. */
export function cutFailure(failure: Failure, maxBytes = FAILURE_MESSAGE_BYTES): Failure {
  const metadata = takeWhileFits(
    // As the wire needs it: what Claude wrote may hold halves of characters.
    Object.entries(failure.metadata).map(([name, value]) => [name, value.toWellFormed()] as const),
    Math.min(maxBytes, FAILURE_METADATA_BYTES),
    ([name, value]) => encoder.encode(name).length + encoder.encode(value).length,
  );
  const message = cutText(failure.message, Math.min(maxBytes, FAILURE_MESSAGE_BYTES)).text;
  return create(FailureSchema, { reason: failure.reason, message, metadata: Object.fromEntries(metadata) });
}

const encoder = new TextEncoder();

function cutPaths(paths: readonly string[], maxBytes: number): string[] {
  return takeWhileFits(paths, maxBytes, (path) => encoder.encode(path).length);
}

function takeWhileFits<T>(items: readonly T[], maxBytes: number, sizeOf: (item: T) => number): T[] {
  let bytes = 0;
  const end = items.findIndex((item) => (bytes += sizeOf(item) + 4) > maxBytes);
  return end < 0 ? [...items] : items.slice(0, end);
}
