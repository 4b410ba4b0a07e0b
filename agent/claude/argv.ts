import { durationMs } from "@bufbuild/protobuf/wkt";
import type { SessionSpec } from "../../proto/index.ts";
import type { Opening } from "./opening.ts";

/**
 * Planning is a mode of its own here. Claude Code offers it in every mode once somebody can be asked, and then
 * everything would have to be asked, also where the session may do everything.
 */
const PLANNING_TOOLS = ["EnterPlanMode", "ExitPlanMode"];

/**
 * Part of a completed spec that Claude is started with. Only model, permission mode and traceparent can change later, by
 * messages.
 */
export type ClaudeSpec = Pick<
  SessionSpec,
  | "model"
  | "permissionMode"
  | "decisionTimeout"
  | "allowedTools"
  | "maxStepCount"
  | "loadProjectSettings"
  | "environment"
  | "jsonSchema"
  | "traceParent"
  | "claudeTelemetry"
>;

/**
 * Returns the arguments that `claude` is started with. The task is not among them: it goes through standard input,
 * where no other process sees it. One that waits does nothing before it is told where its work is.
 */
export function claudeArguments(
  spec: ClaudeSpec,
  { conversationId, earlier }: Opening,
  { modelPort, waits = false }: { modelPort: number; waits?: boolean },
): string[] {
  return [
    ...(waits ? ["--await-claim"] : []),
    "-p",
    "--output-format",
    "stream-json",
    "--input-format",
    "stream-json",
    "--verbose",
    ...(spec.loadProjectSettings ? ["--setting-sources", "user,project,local"] : WITHOUT_PROJECT),
    "--settings",
    JSON.stringify(settings(spec, modelPort)),
    "--permission-mode",
    spec.permissionMode,
    ...(earlier === "resumed" ? ["--resume", conversationId] : ["--session-id", conversationId]),
    ...(asks(spec) ? ["--permission-prompt-tool", "stdio"] : []),
    ...(asks(spec) && spec.permissionMode !== "plan" ? ["--disallowed-tools", ...PLANNING_TOOLS] : []),
    ...(spec.model === "" ? [] : ["--model", spec.model]),
    ...(spec.maxStepCount === 0 ? [] : ["--max-turns", String(spec.maxStepCount)]),
    ...(spec.jsonSchema === "" ? [] : ["--json-schema", spec.jsonSchema]),
    // One argument for each rule: a rule may hold spaces and commas.
    ...(spec.allowedTools.length === 0 ? [] : ["--allowed-tools", ...spec.allowedTools]),
  ];
}

/** A repository's own settings would run hooks and redirect the API without asking. */
const WITHOUT_PROJECT = ["--setting-sources", "user", "--strict-mcp-config"];

/**
 * What counts above all settings that went in: nested sandboxing is off, since the container is the sandbox, and user
 * namespaces are not to be had in it; and the model stays where it is. What a repository brings counts without asking.
 */
function settings({ loadProjectSettings }: ClaudeSpec, modelPort: number) {
  return {
    sandbox: { enabled: false },
    ...(loadProjectSettings && { enableAllProjectMcpServers: true }),
    env: { ANTHROPIC_BASE_URL: `http://127.0.0.1:${modelPort}` },
  };
}

/** Claude asks for what it may not decide itself. Otherwise that is denied, and Claude cannot ask questions. */
function asks({ permissionMode, decisionTimeout }: ClaudeSpec): boolean {
  return permissionMode !== "dontAsk" && decisionTimeout !== undefined && durationMs(decisionTimeout) > 0;
}
