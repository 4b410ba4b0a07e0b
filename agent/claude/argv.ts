import type { SessionSpec } from "../../proto/index.ts";

/** Nested sandboxing is off: the container is the sandbox, and user namespaces are not to be had in it. */
const SETTINGS = JSON.stringify({ sandbox: { enabled: false } });

/**
 * Returns the arguments of `claude` for a session with completed spec. The task is not among them:
 * it goes through standard input, where no other process sees it.
 */
export function claudeArguments(spec: SessionSpec, { conversationId }: { conversationId: string }): string[] {
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
    "--session-id",
    conversationId,
    ...(spec.model === "" ? [] : ["--model", spec.model]),
    ...(spec.maxStepCount === 0 ? [] : ["--max-turns", String(spec.maxStepCount)]),
    // One argument for each rule: a rule may hold spaces and commas.
    ...(spec.allowedTools.length === 0 ? [] : ["--allowed-tools", ...spec.allowedTools]),
  ];
}
