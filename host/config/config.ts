import { readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { AppError, asAppError, type Budget, BudgetSchema, cutChars, readRepositoryAddress } from "../../proto/index.ts";
import { checkCredential, type Credential } from "../broker/model/credential.ts";
import { parseAuthority } from "../broker/egress-rules.ts";
import { DEFAULT_MAX_OUTPUT_TOKENS, type ModelPolicy } from "../broker/model/model-policy.ts";
import { PACKAGE_REGISTRIES } from "../broker/egress/package-registries.ts";
import type { WayOutSettings } from "../broker/way-out.ts";
import { readWayOut } from "./read-way-out.ts";
import type { EgressConfig } from "../session/egress.ts";
import { type ConfigFile, readConfigFile } from "./config-file.ts";
import { type HostDirectories, readDirectories } from "../directories.ts";
import { readProblem } from "../file-problem.ts";

/** What the host is set to: by the environment, otherwise by config.json. Read once. */
export interface HostConfig extends HostDirectories {
  /** Image of sessions that name none. */
  defaultImage: string;
  modelEndpoint: URL;
  /** It is the environment's, whatever config.json says. */
  endpointFromEnvironment: boolean;
  modelPolicy: ModelPolicy;
  /** Asked instead of a model that is overloaded. */
  fallbackModel: string | undefined;
  /** What each session may use of the model, and all of them on one day. */
  budgets: { session: Budget; day: Budget };
  /** The credential of the environment, which counts before the configured one. */
  environmentCredential: Credential | undefined;
  /** Repositories, beside its own, for which every session may use the user's git credential: shared submodules. */
  gitRepositories: string[];
  /** Refs that sessions may push to; "*" at the end stands for anything. */
  gitPushRefs: string[];
  egress: EgressConfig;
  /** Bytes that one session may move through the proxy. Undefined: the default. */
  maxEgressBytes: number | undefined;
  /** Proxies, and authorities to be trusted. */
  wayOut: WayOutSettings;
  logLevel: string;
  /** Containers may run where the engine cannot enforce their limits. */
  allowWeakLimits: boolean;
  /** A host that was started on demand ends after this long without anything to do, in ms. */
  idleTimeoutMs: number;
  /** Sessions that may run at once. Undefined: what the machine can bear. */
  maxRunning: number | undefined;
  /** What is kept of sessions. Undefined: the store's defaults. */
  retention: {
    /** Finished sessions are kept this long, in ms. */
    maxAgeMs: number | undefined;
    /** The oldest finished sessions go when all together take more. */
    maxBytes: number | undefined;
    /** What the events of one live session may take. */
    maxLiveBytes: number | undefined;
  };
}

const DEFAULT_IDLE_TIMEOUT_SECONDS = 30 * 60;
const DAY_MS = 24 * 60 * 60 * 1000;

/** Reads the configuration. Throws FAILED_PRECONDITION naming the entry that is wrong, or for an unsafe file. */
export function readConfig(given: NodeJS.ProcessEnv): HostConfig {
  // Empty is as good as not set.
  const env = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ""));
  const directories = readDirectories(env);
  const file = readConfigFile(directories.configDirectory);
  return {
    ...directories,
    defaultImage: env["CLAUDECLUSTER_IMAGE"] ?? file.image ?? "claudecluster/agent:latest",
    modelEndpoint: readEndpoint(env["ANTHROPIC_BASE_URL"] ?? file.base_url),
    endpointFromEnvironment: env["ANTHROPIC_BASE_URL"] !== undefined,
    modelPolicy: {
      allowedModels: env["CLAUDECLUSTER_ALLOWED_MODELS"]?.split(",").map((name) => name.trim()) ?? file.allowed_models,
      allowedBetas: file.allowed_betas ?? [],
      maxOutputTokens: file.max_output_tokens ?? DEFAULT_MAX_OUTPUT_TOKENS,
    },
    fallbackModel: env["CLAUDECLUSTER_FALLBACK_MODEL"] ?? file.fallback_model,
    budgets: {
      session: toBudget(file.session_budget, readNumber(env, "CLAUDECLUSTER_SESSION_BUDGET_USD", { min: 0.01 })),
      day: toBudget(file.daily_budget, readNumber(env, "CLAUDECLUSTER_DAILY_BUDGET_USD", { min: 0.01 })),
    },
    environmentCredential: readCredential(env),
    gitRepositories: readRepositories(file.git_repositories ?? []),
    gitPushRefs: readPushRefs(file.git_push_refs ?? ["refs/heads/claude/*"]),
    egress: {
      mode: readEgressMode(env["CLAUDECLUSTER_EGRESS"] ?? file.egress ?? "listed"),
      allowed: [
        ...(file.egress_registries === false ? [] : PACKAGE_REGISTRIES),
        ...readAllowList(env["CLAUDECLUSTER_EGRESS_ALLOW"]?.split(",") ?? file.egress_allow ?? []),
      ],
      allowedPrivate: readAllowList(env["CLAUDECLUSTER_EGRESS_PRIVATE"]?.split(",") ?? file.egress_private ?? []),
    },
    maxEgressBytes: file.egress_max_bytes,
    wayOut: readWayOut(env, file),
    logLevel: readLogLevel(env["CLAUDECLUSTER_LOG_LEVEL"] ?? file.log_level ?? "warn"),
    allowWeakLimits: (env["CLAUDECLUSTER_ALLOW_WEAK_LIMITS"] ?? (file.allow_weak_limits === true ? "1" : "")) === "1",
    idleTimeoutMs:
      1000 *
      (readNumber(env, "CLAUDECLUSTER_IDLE_TIMEOUT", { min: 0 }) ??
        file.idle_timeout_seconds ??
        DEFAULT_IDLE_TIMEOUT_SECONDS),
    maxRunning: readNumber(env, "CLAUDECLUSTER_MAX_RUNNING", { min: 1 }) ?? file.max_running,
    retention: {
      maxAgeMs: toMs(readNumber(env, "CLAUDECLUSTER_RETENTION_DAYS", { min: 0 }) ?? file.retention_days),
      maxBytes: readNumber(env, "CLAUDECLUSTER_STORE_MAX_BYTES", { min: 1 }) ?? file.store_max_bytes,
      maxLiveBytes: readNumber(env, "CLAUDECLUSTER_SESSION_MAX_BYTES", { min: 1 }) ?? file.session_max_bytes,
    },
  };
}

function toBudget(configured: ConfigFile["session_budget"], usd: number | undefined): Budget {
  return create(BudgetSchema, {
    maxCostUsd: usd ?? configured?.usd ?? 0,
    maxTokenCount: BigInt(configured?.tokens ?? 0),
    maxRequestCount: configured?.requests ?? 0,
  });
}

function toMs(days: number | undefined): number | undefined {
  return days === undefined ? undefined : days * DAY_MS;
}

function readNumber(env: NodeJS.ProcessEnv, name: string, { min }: { min: number }): number | undefined {
  const text = env[name];
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isFinite(value) && value >= min) return value;
  throw new AppError("NUMBER_INVALID", `${name} is "${cutChars(text, 40)}".`, {
    help: `Use a number from ${min}.`,
  });
}

function readRepositories(uris: readonly string[]): string[] {
  try {
    return uris.map((uri) => readRepositoryAddress({ uri, ref: "" }).uri);
  } catch (error) {
    const { reason, message, help } = asAppError(error);
    throw new AppError(reason, `git_repositories: ${message}`, { kind: "FAILED_PRECONDITION", help, cause: error });
  }
}

function readPushRefs(refs: readonly string[]): string[] {
  const wrong = refs.find((ref) => !/^refs\/[\x21-\x7e]+$/.test(ref) || ref.slice(0, -1).includes("*"));
  if (wrong === undefined) return [...refs];
  throw new AppError("PUSH_REF_INVALID", `git_push_refs holds "${cutChars(wrong, 100)}".`, {
    help: 'Use whole refs such as "refs/heads/claude/*"; "*" may stand at the end.',
  });
}

const EGRESS_MODES = ["none", "listed", "open"] as const;

function readEgressMode(text: string): EgressConfig["mode"] {
  const mode = EGRESS_MODES.find((known) => known === text);
  if (mode !== undefined) return mode;
  throw new AppError("EGRESS_INVALID", `"${cutChars(text, 40)}" (CLAUDECLUSTER_EGRESS, egress) is unknown.`, {
    help: `Use one of ${EGRESS_MODES.join(", ")}.`,
  });
}

const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"];

function readLogLevel(level: string): string {
  if (LOG_LEVELS.includes(level)) return level;
  throw new AppError("LOG_LEVEL_INVALID", `CLAUDECLUSTER_LOG_LEVEL is "${cutChars(level, 40)}".`, {
    help: `Use one of ${LOG_LEVELS.join(", ")}.`,
  });
}

function readCredential(env: NodeJS.ProcessEnv): Credential | undefined {
  const candidates = [
    ["api-key", "ANTHROPIC_API_KEY"],
    ["auth-token", "ANTHROPIC_AUTH_TOKEN"],
    ["oauth-token", "CLAUDE_CODE_OAUTH_TOKEN"],
  ] as const;
  for (const [kind, name] of candidates) {
    const value = readSecret(env, name)?.trim() ?? "";
    if (value !== "") return { kind, value: checkCredential(value) };
  }
  return undefined;
}

/** A variable, or the file that the variable with "_FILE" behind its name points to. */
function readSecret(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const value = env[name];
  const path = env[`${name}_FILE`];
  if ((value ?? "") !== "" || path === undefined || path === "") return value;
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new AppError(
      "CREDENTIAL_UNREADABLE",
      `${name}_FILE names ${path}, which cannot be read: ${readProblem(error)}.`,
      {
        help: "Make the file, readable by this user only.",
        cause: error,
      },
    );
  }
  if (text.trim() !== "") return text;
  throw new AppError("CREDENTIAL_EMPTY", `${name}_FILE names ${path}, which is empty.`, {
    help: "Write the credential into it, or unset the variable.",
  });
}

/** Reads the model's endpoint, by default the API's own. Throws ENDPOINT_INVALID, PROVIDER_UNSUPPORTED. */
export function readEndpoint(value: string | undefined): URL {
  const text = value ?? "https://api.anthropic.com";
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol) || url.username !== "" || url.password !== "") {
    throw new AppError(
      "ENDPOINT_INVALID",
      "The model's endpoint (ANTHROPIC_BASE_URL, base_url) is not an http(s) URL without credentials.",
      {
        help: "Use one such as https://api.anthropic.com.",
      },
    );
  }
  const provider = OTHER_PROVIDERS.find(([host]) => host.test(url.hostname))?.[1];
  if (provider !== undefined) {
    throw new AppError("PROVIDER_UNSUPPORTED", `The model's endpoint ${url.hostname} is one of ${provider}.`, {
      help: "ClaudeCluster speaks the Anthropic Messages API only: use that, or a gateway that speaks it and reaches the provider.",
    });
  }
  return url;
}

/** They want requests signed or built in their own way, which has not been tested. */
const OTHER_PROVIDERS: [host: RegExp, name: string][] = [
  [/(^|\.)bedrock[a-z-]*\..*amazonaws\.com$/, "Amazon Bedrock"],
  [/aiplatform\.googleapis\.com$/, "Google Vertex AI"],
  [/\.(services\.ai|cognitiveservices|openai)\.azure\.com$/, "Microsoft Foundry"],
];

function readAllowList(given: readonly string[]): string[] {
  const entries = given.map((entry) => entry.trim()).filter((entry) => entry !== "");
  return entries.map((entry) => {
    const authority = parseAuthority(entry.includes(":") ? entry : `${entry}:443`);
    if (authority !== undefined) return authority;
    throw new AppError(
      "EGRESS_INVALID",
      `The list of allowed hosts (egress_allow, egress_private, or their variables) holds "${cutChars(entry, 100)}".`,
      {
        help: "Use exact host:port entries.",
      },
    );
  });
}
