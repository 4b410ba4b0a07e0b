import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  cutResult,
  type FileChange,
  type SessionResult,
  SessionResultSchema,
  type SkippedFilter,
  WHOLE_RESULT,
} from "../../proto/index.ts";
import type { ClaudeExit } from "../claude/claude-process.ts";
import { type EndReason, failureOf, outcomeOf, processExit, withFullDirectories } from "./outcome.ts";
import type { SessionFiles } from "./session-files.ts";
import type { Turns } from "./turns.ts";

/** Facts that a session's result is made of. */
export interface SessionFacts {
  /** Reason for which it was ended early. Undefined: it was not. */
  end: EndReason | undefined;
  /** Error before or beside Claude. Undefined: there was none. */
  error: unknown;
  /** Exit of Claude. Undefined: it was not started. */
  exit: ClaudeExit | undefined;
  /** Directories without room when the session ended. */
  fullDirectories: readonly string[];
  files: Pick<SessionFiles, "baseCommitId" | "collected" | "leftWork" | "transcript">;
  turns: Pick<Turns, "last" | "finalText" | "finalTextTurn" | "usage">;
  elapsedMs: number;
  conversationId: string;
}

/** Returns the result of a session. */
export function resultOf(facts: SessionFacts): SessionResult {
  const { end, error, exit, files, turns, conversationId } = facts;
  const { leftWork } = files;
  const { failure: incomplete, headCommitId, treeId, ...collected } = files.collected;
  const { unreadablePaths, unreadableReasons, ignoredFiles } = collected;
  const failed = error === undefined ? undefined : failureOf(error);
  let outcome = outcomeOf({ end, error: failed, lastTurn: turns.last });
  if (outcome.case === "success" && incomplete !== undefined) outcome = { case: "failure", value: incomplete };
  outcome = withFullDirectories(outcome, facts.fullDirectories);
  return wholeResult(
    { outcome, finalText: turns.finalText, ...collected },
    {
      baseCommitId: files.baseCommitId,
      finalTextTurn: turns.finalTextTurn,
      headCommitId,
      treeId,
      patchTruncated: incomplete !== undefined || collected.incomplete || unreadablePaths.length > 0,
      ...(incomplete !== undefined && { patchFailure: incomplete }),
      unreadableReasons: [...unreadableReasons],
      ...(leftWork !== undefined && { leftWork }),
      ...(ignoredFiles !== undefined && { ignoredFiles }),
      usage: turns.usage.usage(),
      ...(exit !== undefined && { processExit: processExit(exit, end) }),
      elapsed: durationFromMs(facts.elapsedMs),
      conversationId,
      transcriptSizeBytes: BigInt(files.transcript.length),
    },
  );
}

/** Parts of a result that are given in another form than the message has. */
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
export function wholeResult({ patch, ...options }: ResultOptions, rest: RestOfResult): SessionResult {
  const result = create(SessionResultSchema, {
    ...rest,
    ...options,
    changes: [...options.changes],
    changeCount: options.changes.length,
    unreadablePaths: [...options.unreadablePaths],
    unconvertedPaths: [...options.unconvertedPaths],
    skippedFilters: [...options.skippedFilters],
    patchSizeBytes: BigInt(patch.length),
  });
  return cutResult(result, WHOLE_RESULT);
}
