import { clone, create, toBinary } from "@bufbuild/protobuf";
import {
  cutText,
  type Failure,
  FailureSchema,
  type FileChange,
  FileChangeSchema,
  LeftWork_ItemSchema,
  type SessionResult,
  MAX_ANSWER_BYTES,
  SessionResultSchema,
  type SkippedFilter,
} from "../../proto/index.ts";

/** Answers with everything in them, the text up to 2 MiB, must stay below gRPC's usual 4 MiB. */
const WHOLE_PART_BYTES = 1024 * 1024;

/** What an event may hold of each part; together well below 64 KiB. */
const EVENT_TEXT_BYTES = 16 * 1024;
const EVENT_CHANGES_BYTES = 20 * 1024;
const EVENT_PATHS_BYTES = 6 * 1024;
const EVENT_LEFT_BYTES = 2 * 1024;
const FAILURE_MESSAGE_BYTES = 6 * 1024;
const FAILURE_METADATA_BYTES = 4 * 1024;

export interface ResultOptions {
  outcome: SessionResult["outcome"];
  finalText: string;
  changes: readonly FileChange[];
  unreadablePaths: readonly string[];
  unconvertedPaths: readonly string[];
  skippedFilters: readonly SkippedFilter[];
  patch: Uint8Array;
}

type RestOfResult = Omit<Partial<SessionResult>, "$typeName" | "$unknown" | keyof ResultOptions>;

/** Returns the result as GetSession holds it: whole, as far as it stays below gRPC's usual 4 MiB. */
export function wholeResult(options: ResultOptions, rest: RestOfResult): SessionResult {
  const { outcome, patch, changes } = options;
  const finalText = cutText(options.finalText, MAX_ANSWER_BYTES);
  const result = create(SessionResultSchema, {
    ...rest,
    outcome: outcome.case === "failure" ? { case: "failure", value: cutFailure(outcome.value) } : outcome,
    finalText: finalText.text,
    finalTextTruncated: finalText.truncated,
    changes: cutChanges(changes, WHOLE_PART_BYTES),
    changeCount: changes.length,
    unreadablePaths: cutPaths(options.unreadablePaths, EVENT_PATHS_BYTES * 8),
    unconvertedPaths: cutPaths(options.unconvertedPaths, EVENT_PATHS_BYTES * 8),
    skippedFilters: [...options.skippedFilters],
    patchSizeBytes: BigInt(patch.length),
  });
  cutLeft(result, EVENT_LEFT_BYTES * 16);
  return result;
}

/** Returns the result as the last event holds it: everything cut, the patch left out. */
export function eventResult(whole: SessionResult): SessionResult {
  const { text, truncated } = cutText(whole.finalText, EVENT_TEXT_BYTES);
  const result = clone(SessionResultSchema, { ...whole, changes: [] });
  result.finalText = text;
  result.finalTextTruncated = whole.finalTextTruncated || truncated;
  result.changes = cutChanges(whole.changes, EVENT_CHANGES_BYTES);
  result.unreadablePaths = cutPaths(whole.unreadablePaths, EVENT_PATHS_BYTES);
  result.unconvertedPaths = cutPaths(whole.unconvertedPaths, EVENT_PATHS_BYTES / 2);
  result.skippedFilters = whole.skippedFilters.slice(0, 1);
  cutLeft(result, EVENT_LEFT_BYTES);
  return result;
}

/** Shortens what says what is not in the patch, and why. The counts stay. */
function cutLeft(result: SessionResult, maxBytes: number): void {
  const { leftWork, ignoredFiles, patchFailure } = result;
  result.unreadableReasons = result.unreadableReasons.slice(0, result.unreadablePaths.length);
  if (patchFailure !== undefined) result.patchFailure = cutFailure(patchFailure, maxBytes);
  if (leftWork !== undefined) {
    leftWork.items = takeWhileFits(leftWork.items, maxBytes, (item) => toBinary(LeftWork_ItemSchema, item).length);
  }
  if (ignoredFiles !== undefined) ignoredFiles.paths = cutPaths(ignoredFiles.paths, maxBytes);
}

/** Returns as many changes as fit, from the first. */
export function cutChanges(changes: readonly FileChange[], maxBytes: number): FileChange[] {
  return takeWhileFits(changes, maxBytes, (change) => toBinary(FileChangeSchema, change).length);
}

/** Returns a failure that fits into an event, whatever a program in the container has put into it. */
export function cutFailure(failure: Failure, maxBytes = FAILURE_MESSAGE_BYTES): Failure {
  const metadata = takeWhileFits(
    // As the wire needs it: what Claude wrote may hold halves of characters.
    Object.entries(failure.metadata).map(([name, value]) => [name, value.toWellFormed()] as const),
    Math.min(maxBytes, FAILURE_METADATA_BYTES),
    ([name, value]) => Buffer.byteLength(name) + Buffer.byteLength(value),
  );
  const message = cutText(failure.message, Math.min(maxBytes, FAILURE_MESSAGE_BYTES)).text;
  return create(FailureSchema, { reason: failure.reason, message, metadata: Object.fromEntries(metadata) });
}

function cutPaths(paths: readonly string[], maxBytes: number): string[] {
  return takeWhileFits(paths, maxBytes, (path) => Buffer.byteLength(path));
}

function takeWhileFits<T>(items: readonly T[], maxBytes: number, sizeOf: (item: T) => number): T[] {
  let bytes = 0;
  const end = items.findIndex((item) => (bytes += sizeOf(item) + 4) > maxBytes);
  return end < 0 ? [...items] : items.slice(0, end);
}
