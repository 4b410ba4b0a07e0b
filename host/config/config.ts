import { readFileSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { create } from "@bufbuild/protobuf";
import {
  AppError,
  asAppError,
  type Budget,
  BudgetSchema,
  CommandSpecSchema,
  completeCommand,
  cutChars,
  readRepositoryAddress,
} from "../../proto/index.ts";
import { checkCredential, type Credential } from "../broker/model/credential.ts";
import { parseAuthority } from "../broker/egress-rules.ts";
import type { ModelPolicy } from "../broker/model/model-policy.ts";
import { PACKAGE_REGISTRIES } from "../broker/egress/package-registries.ts";
import type { WayOutSettings } from "../broker/way-out.ts";
import { parseAddress } from "../address.ts";
import { readWayOut } from "./read-way-out.ts";
import type { EgressConfig } from "../session/egress.ts";
import type { SetupCommands } from "../session/setup-command.ts";
import { readConfigFile } from "./config-file.ts";
import { readSettings } from "./read-settings.ts";
import { CREDENTIAL_VARIABLES, SETTINGS, type Settings } from "./settings.ts";
import { expandHome, homeDirectory, type HostDirectories, readDirectories } from "../directories.ts";
import { readProblem } from "../file-problem.ts";

/** Configuration of the host: by the environment, otherwise by config.json. It is read once. */
export interface HostConfig extends HostDirectories {
  /** Image of sessions that name none. */
  defaultImage: string;
  /** Image that the agent's is built on. Undefined: the public one, or one that is made here. */
  baseImage: string | undefined;
  modelEndpoint: URL;
  /** Whether the environment gives the endpoint, whatever config.json says. */
  endpointFromEnvironment: boolean;
  modelPolicy: ModelPolicy;
  /** Model that is asked instead of an overloaded one. Undefined: none. */
  fallbackModel: string | undefined;
  /** Budgets of each session, and of all sessions on one day. */
  budgets: { session: Budget; day: Budget };
  /** Credential of the environment, which counts before the configured one. */
  environmentCredential: Credential | undefined;
  /** Repositories for which every session may use the user's git credential beside its own: shared submodules. */
  gitRepositories: string[];
  /** Commands that prepare the workspace of a repository's sessions. */
  setups: SetupCommands;
  /** Refs that sessions may push to. "*" at the end stands for anything. */
  gitPushRefs: string[];
  egress: EgressConfig;
  /** Most bytes that one session may move through the proxy. */
  maxEgressBytes: number;
  /** Proxies, and authorities to be trusted. */
  wayOut: WayOutSettings;
  logLevel: string;
  /** Whether containers may run on an engine that cannot enforce their limits. */
  allowWeakLimits: boolean;
  /** Time without anything to do after which a host that was started on demand ends (ms). */
  idleTimeoutMs: number;
  /** Most sessions that run at once. Undefined: as many as the machine bears. */
  maxRunning: number | undefined;
  /** Number of containers that are kept prepared. Undefined: one where the machine has the memory for it. */
  warm: number | undefined;
  /** Whom it tells of sessions that finish, fail or need somebody. Undefined: nobody. */
  notify: Settings["notify"];
  /** Where metrics, traces and the telemetry of Claude Code are pushed to. Undefined: nowhere. */
  otlp: Settings["otlp"];
  /** Where the page is served. Port 0: any. */
  pageAddress: { hostname: string; port: number };
  /** Limits for what is kept of sessions. */
  retention: {
    /** Finished sessions are kept this long, in ms. */
    maxAgeMs: number;
    /** The oldest finished sessions go when all together take more. */
    maxBytes: number;
    /** What the events of one live session may take. */
    maxLiveBytes: number;
  };
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** Reads the configuration. Throws a FAILED_PRECONDITION error that names the wrong entry, or for an unsafe file. */
export function readConfig(given: NodeJS.ProcessEnv): HostConfig {
  // Empty is as good as not set.
  const env = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ""));
  const directories = readDirectories(env);
  const settings = readSettings(env, readConfigFile(directories.configDirectory));
  return {
    ...directories,
    defaultImage: settings.image,
    baseImage: settings.base_image,
    modelEndpoint: readEndpoint(settings.base_url),
    endpointFromEnvironment: env["ANTHROPIC_BASE_URL"] !== undefined,
    modelPolicy: {
      allowedModels: settings.allowed_models,
      allowedBetas: settings.allowed_betas,
      maxOutputTokens: settings.max_output_tokens,
    },
    fallbackModel: settings.fallback_model,
    budgets: { session: toBudget(settings.session_budget), day: toBudget(settings.daily_budget) },
    environmentCredential: readCredential(env),
    gitRepositories: readRepositories(settings.git_repositories),
    setups: readSetups(settings.setup ?? {}, env),
    gitPushRefs: readPushRefs(settings.git_push_refs),
    egress: {
      mode: settings.egress,
      allowed: [...(settings.egress_registries ? PACKAGE_REGISTRIES : []), ...readAllowList(settings.egress_allow)],
      allowedPrivate: readAllowList(settings.egress_private),
    },
    maxEgressBytes: settings.egress_max_bytes,
    wayOut: readWayOut(env, settings),
    logLevel: settings.log_level,
    allowWeakLimits: settings.allow_weak_limits,
    idleTimeoutMs: 1000 * settings.idle_timeout_seconds,
    maxRunning: settings.max_running,
    warm: settings.warm,
    notify: settings.notify,
    otlp: settings.otlp,
    pageAddress: parseAddress(settings.page_address),
    retention: {
      maxAgeMs: DAY_MS * settings.retention_days,
      maxBytes: settings.store_max_bytes,
      maxLiveBytes: settings.session_max_bytes,
    },
  };
}

function toBudget(budget: Settings["session_budget"]): Budget {
  return create(BudgetSchema, {
    maxCostUsd: budget?.usd ?? 0,
    maxTokenCount: BigInt(budget?.tokens ?? 0),
    maxRequestCount: budget?.requests ?? 0,
  });
}

function readRepositories(uris: readonly string[]): string[] {
  return uris.map((uri) => readRepository(uri, "git_repositories"));
}

function readSetups(setups: Readonly<Record<string, string>>, env: NodeJS.ProcessEnv): SetupCommands {
  const entries = Object.entries(setups).map(([name, command]) => {
    completeCommand(create(CommandSpecSchema, { command }), "setup");
    const directory = expandHome(name, () => homeDirectory(env));
    return [isAbsolute(directory) ? resolve(directory) : readRepository(name, "setup"), command] as const;
  });
  return new Map(entries);
}

function readRepository(uri: string, setting: string): string {
  try {
    return readRepositoryAddress({ uri, ref: "" }).uri;
  } catch (error) {
    const { reason, message, help } = asAppError(error);
    throw new AppError(reason, `${setting}: ${message}`, { kind: "FAILED_PRECONDITION", help, cause: error });
  }
}

function readPushRefs(refs: readonly string[]): string[] {
  const wrong = refs.find((ref) => !/^refs\/[\x21-\x7e]+$/.test(ref) || ref.slice(0, -1).includes("*"));
  if (wrong === undefined) return [...refs];
  throw new AppError("PUSH_REF_INVALID", `git_push_refs holds "${cutChars(wrong, 100)}".`, {
    help: 'Use whole refs such as "refs/heads/claude/*"; "*" may stand at the end.',
  });
}

function readCredential(env: NodeJS.ProcessEnv): Credential | undefined {
  for (const [kind, name] of Object.entries(CREDENTIAL_VARIABLES)) {
    const value = readSecret(env, name)?.trim() ?? "";
    if (value !== "") return { kind: kind as Credential["kind"], value: checkCredential(value) };
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

/** Reads the model's endpoint. Default: that of the API itself. Throws ENDPOINT_INVALID, PROVIDER_UNSUPPORTED. */
export function readEndpoint(value: string | undefined): URL {
  const text = value ?? SETTINGS.base_url.default;
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
  return given.map((entry) => {
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
