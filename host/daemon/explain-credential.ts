import { AppError } from "../../proto/index.ts";
import { CREDENTIAL_VARIABLES } from "../config/settings.ts";

/** Claude Code's switches for providers that the host does not speak to. */
const PROVIDERS: Record<string, string> = {
  CLAUDE_CODE_USE_BEDROCK: "Amazon Bedrock",
  CLAUDE_CODE_USE_VERTEX: "Google Vertex AI",
  CLAUDE_CODE_USE_FOUNDRY: "Microsoft Foundry",
};
const KINDS: Record<string, string> = { ANTHROPIC_AUTH_TOKEN: " --kind auth-token" };

/**
 * Returns a sentence for users whose own environment holds a credential while the host has none: why, and how to give
 * it to the host.
 */
export function explainCredential(error: AppError, env: NodeJS.ProcessEnv): AppError {
  const variable = Object.values(CREDENTIAL_VARIABLES).find((name) => (env[name] ?? "") !== "");
  if (error.reason !== "NO_CREDENTIAL") return error;
  const provider = Object.keys(PROVIDERS).find((name) => !["", "0", "false"].includes(env[name] ?? ""));
  if (provider !== undefined && variable === undefined) {
    return new AppError("PROVIDER_UNSUPPORTED", `Claude Code is set to use ${PROVIDERS[provider]} (${provider}).`, {
      metadata: { variable: provider },
      help: "ClaudeCluster speaks the Anthropic Messages API only. Store a credential for that, or for a gateway that speaks it (base_url): claudecluster credential set",
      cause: error,
    });
  }
  if (variable === undefined) return error;
  return new AppError(error.reason, error.message, {
    kind: error.kind,
    metadata: { ...error.metadata, variable },
    help: `${variable} of this environment is not passed on, since the host outlives it. Store it once: printenv ${variable} | claudecluster credential set${KINDS[variable] ?? ""}`,
    cause: error,
  });
}
