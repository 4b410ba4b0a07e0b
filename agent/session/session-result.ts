import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { cutResult, type SessionResult, SessionResultSchema, WHOLE_RESULT } from "../../proto/index.ts";
import type { ClaudeExit } from "../claude/claude-process.ts";
import { type EndReason, failureOf, outcomeOf, processExit, withFullDirectories } from "./outcome.ts";
import type { SessionCommands } from "./session-commands.ts";
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
  files: Pick<SessionFiles, "baseCommitId" | "collected" | "commits" | "leftWork" | "transcript">;
  turns: Pick<Turns, "last" | "finalText" | "finalTextTurn" | "usage">;
  commands: Pick<SessionCommands, "setup" | "check">;
  elapsedMs: number;
  conversationId: string;
}

/** Returns the result of a session. */
export function resultOf(facts: SessionFacts): SessionResult {
  const { end, error, exit, files, turns, commands, conversationId } = facts;
  const { setup, check } = commands;
  const { baseCommitId, collected, commits, leftWork, transcript } = files;
  const { failure: incomplete, headCommitId, treeId, ignoredFiles, patch } = collected;
  const failed = error === undefined ? undefined : failureOf(error);
  let outcome = outcomeOf({ end, error: failed, lastTurn: turns.last });
  if (outcome.case === "success" && incomplete !== undefined) outcome = { case: "failure", value: incomplete };
  outcome = withFullDirectories(outcome, facts.fullDirectories);
  return wholeResult({
    outcome,
    finalText: turns.finalText,
    finalTextTurn: turns.finalTextTurn,
    baseCommitId,
    headCommitId,
    treeId,
    changes: [...collected.changes],
    unreadablePaths: [...collected.unreadablePaths],
    unreadableReasons: [...collected.unreadableReasons],
    unconvertedPaths: [...collected.unconvertedPaths],
    skippedFilters: [...collected.skippedFilters],
    patch,
    patchTruncated: incomplete !== undefined || collected.incomplete || collected.unreadablePaths.length > 0,
    ...(incomplete !== undefined && { patchFailure: incomplete }),
    ...(leftWork !== undefined && { leftWork }),
    ...(ignoredFiles !== undefined && { ignoredFiles }),
    ...(setup !== undefined && { setup }),
    ...(check !== undefined && { check }),
    usage: turns.usage.usage(),
    ...(exit !== undefined && { processExit: processExit(exit, end) }),
    elapsed: durationFromMs(facts.elapsedMs),
    conversationId,
    transcriptSizeBytes: BigInt(transcript.length),
    commitsSizeBytes: BigInt(commits.length),
  });
}

/** Fields of a result, with the patch in place of its size. Every result has the first three. */
type ResultParts = Pick<SessionResult, "outcome" | "finalText" | "changes"> &
  Omit<Partial<SessionResult>, "$typeName" | "$unknown" | "changeCount" | "patchSizeBytes"> & { patch: Uint8Array };

/** Returns the result as GetSession holds it: whole, as far as it stays below gRPC's usual 4 MiB. */
export function wholeResult({ patch, ...fields }: ResultParts): SessionResult {
  const result = create(SessionResultSchema, {
    ...fields,
    changeCount: fields.changes.length,
    patchSizeBytes: BigInt(patch.length),
  });
  return cutResult(result, WHOLE_RESULT);
}
