import { AppError } from "../../proto/index.ts";

const VARIABLES = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"];
const KINDS: Record<string, string> = { ANTHROPIC_AUTH_TOKEN: " --kind auth-token" };

/** Tells somebody whose own environment holds a credential why the host has none, and how to give it to it. */
export function explainCredential(error: AppError, env: NodeJS.ProcessEnv): AppError {
  const variable = VARIABLES.find((name) => (env[name] ?? "") !== "");
  if (error.reason !== "NO_CREDENTIAL" || variable === undefined) return error;
  return new AppError(error.reason, error.message, {
    kind: error.kind,
    metadata: { ...error.metadata, variable },
    help: `${variable} of this environment is not passed on, since the host outlives it. Store it once: printenv ${variable} | claudecluster credential set${KINDS[variable] ?? ""}`,
    cause: error,
  });
}
