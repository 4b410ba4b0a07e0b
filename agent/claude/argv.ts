import { durationMs } from "@bufbuild/protobuf/wkt";
import type { SessionSpec } from "../../proto/index.ts";
import type { Opening } from "./opening.ts";

/** Nested sandboxing is off: the container is the sandbox, and user namespaces are not to be had in it. */
const SETTINGS = JSON.stringify({ sandbox: { enabled: false } });

/**
 * Planning is a mode of its own here. Claude Code offers it in every mode once somebody can be asked, and then
 * everything would have to be asked, also where the session may do everything.
 */
const PLANNING_TOOLS = ["EnterPlanMode", "ExitPlanMode"];

/**
 * Returns the arguments of `claude` for a session with completed spec. The task is not among them:
 * it goes through standard input, where no other process sees it.
 */
export function claudeArguments(spec: SessionSpec, { conversationId, earlier }: Opening): string[] {
  return [
    "-p",
    "--output-format",
    "stream-json",
    "--input-format",
    "stream-json",
    "--verbose",
    // A repository's own settings would run hooks and redirect the API without asking.
    "--setting-sources",
    "user",
    "--strict-mcp-config",
    "--settings",
    SETTINGS,
    "--permission-mode",
    spec.permissionMode,
    ...(earlier === "resumed" ? ["--resume", conversationId] : ["--session-id", conversationId]),
    ...(asks(spec) ? ["--permission-prompt-tool", "stdio"] : []),
    ...(asks(spec) && spec.permissionMode !== "plan" ? ["--disallowed-tools", ...PLANNING_TOOLS] : []),
    ...(spec.model === "" ? [] : ["--model", spec.model]),
    ...(spec.maxStepCount === 0 ? [] : ["--max-turns", String(spec.maxStepCount)]),
    // One argument for each rule: a rule may hold spaces and commas.
    ...(spec.allowedTools.length === 0 ? [] : ["--allowed-tools", ...spec.allowedTools]),
  ];
}

/** Claude asks for what it may not decide itself. Otherwise that is denied, and Claude cannot ask questions. */
function asks({ permissionMode, decisionTimeout }: SessionSpec): boolean {
  return permissionMode !== "dontAsk" && decisionTimeout !== undefined && durationMs(decisionTimeout) > 0;
}
