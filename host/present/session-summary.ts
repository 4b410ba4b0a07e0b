import { durationMs } from "@bufbuild/protobuf/wkt";
import { FileChange_Kind, Phase, type Session, Session_State } from "../../proto/index.ts";
import { plainText } from "./plain-text.ts";

/** Claude Code keeps results up to about 50,000 characters in the conversation; these fit together. */
const MAX_INLINE_PATCH_CHARS = 20_000;
const MAX_TEXT_CHARS = 16_000;
const MAX_CHANGES = 100;

/** A session as its caller gets it: plain JSON, small enough for a conversation. */
export interface SessionSummary {
  session_id: string;
  container_id: string;
  state: string;
  /** Claude's last answer. Written in the container: material, not instructions. */
  result: string;
  failure?: { reason: string; message: string };
  canceled_by?: string;
  changes: {
    path: string;
    previous_path?: string;
    kind: string;
    added_lines: number;
    deleted_lines: number;
    binary?: boolean;
  }[];
  change_count: number;
  /** The unified diff, where it is small. */
  patch?: string;
  /** Where the whole diff can be read. */
  patch_uri: string;
  patch_size_bytes: number;
  /** The patch lacks changes. */
  patch_incomplete?: boolean;
  unreadable_paths?: string[];
  usage: {
    input_tokens: number;
    output_tokens: number;
    cache_write_tokens: number;
    cache_read_tokens: number;
    steps: number;
    cost_usd: number;
  };
  phases: { phase: string; seconds: number }[];
  elapsed_seconds: number;
  permission_mode: string;
  base_commit: string;
  conversation_id: string;
}

/** The MCP resource that holds a session's patch. */
export function patchUri(sessionId: string): string {
  return `claudecluster://sessions/${sessionId}/patch`;
}

/** Returns a finished session with its patch as plain JSON; cut parts say so. */
export function summarizeSession(session: Session, patch: Uint8Array): SessionSummary {
  const { result } = session;
  const usage = result?.usage;
  const summary: SessionSummary = {
    session_id: session.id,
    container_id: session.containerId,
    state: enumName(Session_State[session.state]),
    result: cutChars(plainText(result?.finalText ?? ""), MAX_TEXT_CHARS),
    changes: (result?.changes ?? []).slice(0, MAX_CHANGES).map((change) => ({
      path: plainText(change.path),
      ...(change.previousPath !== "" && { previous_path: plainText(change.previousPath) }),
      kind: enumName(FileChange_Kind[change.kind]),
      added_lines: change.addedLineCount,
      deleted_lines: change.deletedLineCount,
      ...(change.binary && { binary: true }),
    })),
    change_count: result?.changeCount ?? 0,
    patch_uri: patchUri(session.id),
    patch_size_bytes: patch.length,
    usage: {
      input_tokens: Number(usage?.inputTokenCount ?? 0),
      output_tokens: Number(usage?.outputTokenCount ?? 0),
      cache_write_tokens: Number(usage?.cacheWriteTokenCount ?? 0),
      cache_read_tokens: Number(usage?.cacheReadTokenCount ?? 0),
      steps: usage?.stepCount ?? 0,
      cost_usd: usage?.costUsd ?? 0,
    },
    phases: session.phaseTimings.map(({ phase, elapsed }) => ({
      phase: enumName(Phase[phase]),
      seconds: elapsed === undefined ? 0 : Math.round(durationMs(elapsed)) / 1000,
    })),
    elapsed_seconds: result?.elapsed === undefined ? 0 : Math.round(durationMs(result.elapsed)) / 1000,
    permission_mode: session.spec?.permissionMode ?? "",
    base_commit: result?.baseCommitId ?? "",
    conversation_id: plainText(session.conversationId),
  };
  if (result?.outcome.case === "failure") {
    const { reason, message } = result.outcome.value;
    summary.failure = { reason: plainText(reason), message: cutChars(plainText(message), MAX_TEXT_CHARS) };
  }
  if (result?.outcome.case === "cancellation") summary.canceled_by = plainText(result.outcome.value.reason);
  if (result?.patchTruncated === true) summary.patch_incomplete = true;
  if (result !== undefined && result.unreadablePaths.length > 0) {
    summary.unreadable_paths = result.unreadablePaths.slice(0, MAX_CHANGES).map(plainText);
  }
  const inline = inlinePatch(patch);
  if (inline !== undefined) summary.patch = inline;
  return summary;
}

/** The patch as text where that loses nothing: small, valid UTF-8, nothing that had to be taken out. */
function inlinePatch(patch: Uint8Array): string | undefined {
  if (patch.length === 0 || patch.length > MAX_INLINE_PATCH_CHARS) return undefined;
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(patch);
    return plainText(text) === text ? text : undefined;
  } catch {
    // Not UTF-8: to be read as bytes.
    return undefined;
  }
}

function cutChars(text: string, maxLength: number): string {
  return text.length <= maxLength
    ? text
    : `${text.slice(0, maxLength)}\n[cut: ${text.length - maxLength} more characters]`;
}

function enumName(name: string | undefined): string {
  return (name ?? "unspecified").toLowerCase();
}
