import { clone } from "@bufbuild/protobuf";
import { durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import { AppError } from "./app-error.ts";
import { dollars } from "./budgets.ts";
import type { ErrorReason } from "./error-reasons.ts";
import {
  type Budget,
  type CommandSpec,
  type SessionSpec,
  SessionSpecSchema,
} from "./gen/claudecluster/session/v1alpha1/session_spec_pb.ts";
import { readRepositoryAddress } from "./repository-address.ts";
import { cutChars } from "./cut.ts";
import { completeSnapshot } from "./snapshot.ts";
import { readTraceParent } from "./trace-parent.ts";
import { checkUserFiles } from "./user-files.ts";

/** Time that a session has if it asks for none. */
export const DEFAULT_TIMEOUT_MS = 300_000;
/** A day: longer is taken for a mistake in the unit. */
const MAX_TIMEOUT_MS = 24 * 60 * 60 * 1000;
/** How long a permission or a question waits unless the session says otherwise. */
const DEFAULT_DECISION_TIMEOUT_MS = 600_000;
/** Most bytes of a task or message: as much as a book. Claude Code reads it as one line. */
const MAX_TASK_BYTES = 1024 * 1024;

/** Time that a setup or a check has if it asks for none: an installation with many packages takes minutes. */
const DEFAULT_COMMAND_TIMEOUT_MS = 600_000;
/** Both of them go into one event with the rest of a spec. */
const MAX_COMMAND_BYTES = 8 * 1024;

/** Permission modes that a session may have: values of Claude Code's flag --permission-mode. */
export const PERMISSION_MODES = ["bypassPermissions", "acceptEdits", "plan", "default", "dontAsk"] as const;

/** Most sessions that are given one task as attempts at it. */
export const MAX_ATTEMPTS = 8;

/** Variables that the agent sets itself, or that would lead Claude around the broker. */
const RESERVED_VARIABLES = new Set([
  "HOME",
  "USER",
  "LOGNAME",
  "SHELL",
  "TMPDIR",
  "IS_SANDBOX",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "ALL_PROXY",
  "NO_PROXY",
  "CLAUDE_CONFIG_DIR",
]);
const RESERVED_PREFIXES = ["ANTHROPIC_", "CLAUDE_CODE_", "CLAUDECLUSTER_"];

function invalid(reason: ErrorReason, message: string, help: string, metadata: Record<string, string> = {}): AppError {
  return new AppError(reason, message, { kind: "INVALID_ARGUMENT", help, metadata });
}

/** Longer ids are not remembered. */
const MAX_MESSAGE_ID_LENGTH = 128;

/** Checks a message for Claude. Throws MESSAGE_EMPTY, MESSAGE_TOO_LONG, MESSAGE_ID_INVALID. */
export function checkMessage({ text, messageId }: { text: string; messageId: string }): void {
  if (text.trim() === "") throw invalid("MESSAGE_EMPTY", "The message is empty.", "");
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > MAX_TASK_BYTES) {
    const message = `The message has ${bytes} bytes; at most ${MAX_TASK_BYTES} are possible.`;
    throw invalid("MESSAGE_TOO_LONG", message, "");
  }
  if (messageId.length > MAX_MESSAGE_ID_LENGTH) {
    const message = `The message's id has more than ${MAX_MESSAGE_ID_LENGTH} characters.`;
    throw invalid("MESSAGE_ID_INVALID", message, "");
  }
}

/** More is a loop that has gone wild. */
const MAX_WAITING_MESSAGES = 100;

/** What there is of a session's messages, and how many turns it takes. */
export interface MessageCounts {
  /** Messages that it has taken, the task included. */
  taken: number;
  /** Of these, those whose turn has not begun. */
  waiting: number;
  /** Most that it takes. 0: any number. */
  maxCount: number;
}

/** Checks that a session takes one more message. Throws TURN_LIMIT_REACHED, QUEUE_FULL (retryable). */
export function checkMessageRoom({ taken, waiting, maxCount }: MessageCounts): void {
  if (maxCount > 0 && taken >= maxCount) {
    throw new AppError("TURN_LIMIT_REACHED", `The session takes ${maxCount} messages, and has them.`, {
      metadata: { max_turn_count: String(maxCount) },
      help: "Allow more with max_turn_count, or continue it with a new session.",
    });
  }
  if (waiting >= MAX_WAITING_MESSAGES) {
    throw new AppError("QUEUE_FULL", `${MAX_WAITING_MESSAGES} messages are waiting already.`, {
      retryable: true,
      help: "Wait for a turn to finish.",
    });
  }
}

/** Returns the error for a message to a session that is at its end: SESSION_ENDED. */
export function sessionEnded(): AppError {
  return new AppError("SESSION_ENDED", "The session is ending or over and takes no more messages.", {
    help: "Continue it with a new session.",
  });
}

/** Returns a copy of the spec with its defaults filled in. Throws an INVALID_ARGUMENT error for what cannot work. */
export function completeSpec(given: SessionSpec): SessionSpec {
  const spec = clone(SessionSpecSchema, given);
  if (spec.task.trim() === "") throw invalid("TASK_EMPTY", "The task is empty.", "Say what Claude is to do.");
  const taskBytes = new TextEncoder().encode(spec.task).length;
  if (taskBytes > MAX_TASK_BYTES) {
    throw invalid(
      "TASK_TOO_LONG",
      `The task has ${taskBytes} bytes; at most ${MAX_TASK_BYTES} are possible.`,
      "Put the material into the repository.",
    );
  }
  if (spec.permissionMode === "") spec.permissionMode = "bypassPermissions";
  if (!PERMISSION_MODES.some((mode) => mode === spec.permissionMode)) {
    throw invalid(
      "PERMISSION_MODE_UNKNOWN",
      `There is no permission mode "${spec.permissionMode}".`,
      `Use one of ${PERMISSION_MODES.join(", ")}.`,
      { permission_mode: spec.permissionMode },
    );
  }
  if (spec.model !== "" && !/^[A-Za-z0-9][\w.:@/[\]-]{0,127}$/.test(spec.model)) {
    throw invalid(
      "MODEL_INVALID",
      `"${cutChars(spec.model, 128)}" is not a model name.`,
      'Use a name such as "sonnet" or "claude-opus-5-5".',
    );
  }
  if (spec.allowedTools.some((tool) => tool.trim() === "" || tool.startsWith("-"))) {
    throw invalid(
      "TOOL_INVALID",
      "allowed_tools holds an empty name or one that starts with a dash.",
      'Use names such as "Edit" or "Bash(git log *)".',
    );
  }
  if (spec.maxStepCount < 0)
    throw invalid("STEP_COUNT_INVALID", `max_step_count is ${spec.maxStepCount}.`, "Use 0 for no limit.");
  if (spec.maxTurnCount < 0)
    throw invalid("TURN_COUNT_INVALID", `max_turn_count is ${spec.maxTurnCount}.`, "Use 0 for no limit.");
  if (spec.budget !== undefined) checkBudget(spec.budget);
  if (spec.egress !== undefined)
    spec.egress.allowedDestinations = spec.egress.allowedDestinations.map(checkDestination);
  const timeoutMs = spec.timeout === undefined ? DEFAULT_TIMEOUT_MS : durationMs(spec.timeout);
  if (!(timeoutMs >= 1000 && timeoutMs <= MAX_TIMEOUT_MS)) {
    throw invalid("TIMEOUT_INVALID", `The timeout is ${timeoutMs / 1000} s.`, `Use 1 to ${MAX_TIMEOUT_MS / 1000} s.`, {
      timeout_ms: String(timeoutMs),
    });
  }
  spec.timeout = durationFromMs(timeoutMs);
  const idleMs = spec.idleTimeout === undefined ? 0 : durationMs(spec.idleTimeout);
  if (!(idleMs >= 0 && idleMs <= MAX_TIMEOUT_MS)) {
    throw invalid(
      "IDLE_TIMEOUT_INVALID",
      `The idle timeout is ${idleMs / 1000} s.`,
      `Use 0 to ${MAX_TIMEOUT_MS / 1000} s.`,
    );
  }
  const decisionMs =
    spec.decisionTimeout === undefined ? DEFAULT_DECISION_TIMEOUT_MS : durationMs(spec.decisionTimeout);
  if (!(decisionMs >= 0 && decisionMs <= MAX_TIMEOUT_MS)) {
    throw invalid(
      "DECISION_TIMEOUT_INVALID",
      `The decision timeout is ${decisionMs / 1000} s.`,
      `Use 0 to ${MAX_TIMEOUT_MS / 1000} s.`,
    );
  }
  spec.decisionTimeout = durationFromMs(decisionMs);
  for (const id of [spec.previousSessionId, spec.afterSessionId]) {
    if (/^[A-Za-z0-9_-]{0,64}$/.test(id)) continue;
    throw invalid("PREVIOUS_SESSION_INVALID", `"${cutChars(id, 64)}" cannot be a session's id.`, "Use a session's id.");
  }
  if (spec.previousSessionId !== "" && spec.afterSessionId !== "") {
    throw invalid(
      "PREVIOUS_SESSION_INVALID",
      "A session cannot both go on with one and start after another.",
      "Name one: the one continued has its conversation go on, the other one only its changes.",
    );
  }
  // It only says what it belongs to: no reason to refuse a session.
  if (readTraceParent(spec.traceParent) === undefined) spec.traceParent = "";
  if (spec.setup !== undefined) spec.setup = completeCommand(spec.setup, "setup");
  if (spec.check !== undefined) spec.check = completeCommand(spec.check, "check");
  if (spec.userFiles !== undefined) checkUserFiles(spec.userFiles.files);
  for (const name of Object.keys(spec.environment)) checkVariable(name, spec.environment[name]!);
  if (spec.repository !== undefined) {
    const { repository } = spec;
    if (repository.snapshot !== undefined) completeSnapshot(repository, repository.snapshot);
    else {
      const { uri, ref } = readRepositoryAddress(repository);
      repository.uri = uri;
      repository.ref = checkRef(ref);
    }
    if (repository.depth === 0) repository.depth = 1;
  }
  return spec;
}

/** Returns the command for `name` with its time filled in. Throws COMMAND_INVALID. */
export function completeCommand(spec: CommandSpec, name: "setup" | "check"): CommandSpec {
  const ms = spec.timeout === undefined ? DEFAULT_COMMAND_TIMEOUT_MS : durationMs(spec.timeout);
  const bytes = new TextEncoder().encode(spec.command).length;
  if (!(ms >= 1000 && ms <= MAX_TIMEOUT_MS) || bytes > MAX_COMMAND_BYTES || spec.command.includes("\0")) {
    throw invalid(
      "COMMAND_INVALID",
      `The ${name} has ${bytes} bytes and ${ms / 1000} s, or holds a NUL character.`,
      `Use at most ${MAX_COMMAND_BYTES} bytes, and 1 to ${MAX_TIMEOUT_MS / 1000} s; put what is longer into a script.`,
    );
  }
  return { ...spec, timeout: durationFromMs(ms) };
}

/** Returns "host:port" in lower case. */
function checkDestination(given: string): string {
  // A word alone is a slip: no public host is called so.
  const authority = (given.includes(":") || !given.includes(".") ? given : `${given}:443`).toLowerCase();
  const match = /^[a-z0-9._-]{1,253}:(\d{1,5})$/.exec(authority);
  if (match !== null && Number(match[1]) >= 1 && Number(match[1]) <= 65535) return authority;
  throw invalid(
    "DESTINATION_INVALID",
    `"${cutChars(given, 100)}" is not a host and a port.`,
    'Use exact hosts such as "files.example.com" or "files.example.com:8443".',
  );
}

function checkBudget({ maxCostUsd, maxTokenCount, maxRequestCount }: Budget): void {
  if (Number.isFinite(maxCostUsd) && maxCostUsd >= 0 && maxTokenCount >= 0n && maxRequestCount >= 0) return;
  throw invalid(
    "BUDGET_INVALID",
    `The budget is ${dollars(maxCostUsd)}, ${maxTokenCount} tokens, ${maxRequestCount} requests.`,
    "Use numbers above 0, or 0 for no bound.",
  );
}

/** Throws ENVIRONMENT_INVALID or ENVIRONMENT_RESERVED for a variable that a session may not have. */
export function checkVariable(name: string, value: string): void {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || value.includes("\0")) {
    throw invalid(
      "ENVIRONMENT_INVALID",
      `"${cutChars(name, 64)}" is not a variable that can be set.`,
      "Use letters, digits and underscores.",
    );
  }
  const upper = name.toUpperCase();
  if (RESERVED_VARIABLES.has(upper) || RESERVED_PREFIXES.some((prefix) => upper.startsWith(prefix))) {
    throw invalid(
      "ENVIRONMENT_RESERVED",
      `The variable ${name} is set by ClaudeCluster.`,
      "Leave it out; credentials and endpoints belong to the host's configuration and never enter a container.",
      { name },
    );
  }
}

function checkRef(ref: string): string {
  // The rules of git check-ref-format, and no option in disguise.
  if (
    ref !== "" &&
    (!/^[^\s~^:?*[\\\x00-\x20\x7f-]{1}[^\s~^:?*[\\\x00-\x20\x7f]{0,254}$/.test(ref) ||
      ref.includes("..") ||
      ref.includes("@{"))
  ) {
    throw invalid(
      "REF_INVALID",
      `"${cutChars(ref, 64)}" is not a branch, tag or commit.`,
      'Use a name such as "main" or a full commit id.',
      { ref: cutChars(ref, 64) },
    );
  }
  // Some sites show ids in capitals; git knows none of these.
  return /^(?:[0-9A-F]{40}|[0-9A-F]{64})$/i.test(ref) ? ref.toLowerCase() : ref;
}
