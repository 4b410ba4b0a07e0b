import * as z from "zod";
import type { ErrorReason } from "../../proto/index.ts";
import { DEFAULT_MAX_OUTPUT_TOKENS } from "../broker/model/model-policy.ts";
import { MAX_EGRESS_BYTES } from "../session/egress.ts";
import { RETENTION } from "../store/session-store.ts";

/** Setting of the host: an entry of config.json, and the variables that override it. */
export interface Setting {
  /** Schema of the entry. */
  readonly schema: z.ZodType;
  /** Names in the environment; the first that is set counts. A list is separated by commas there, and `true` is "1". */
  readonly variables?: readonly string[];
  /** Name of the number in the entry that the variables set. Default: they set the whole entry. */
  readonly member?: string;
  /** Reason of the error for a wrong variable. Default: NUMBER_INVALID. */
  readonly reason?: ErrorReason;
  readonly default?: unknown;
  /** Words for what holds without it, if it has no default. */
  readonly otherwise?: string;
  readonly description: string;
}

const text = z.string();
const texts = z.array(text);
const amount = z.int().min(1);
const seconds = z.number().min(0);
const budget = z.strictObject({
  usd: z.number().positive().optional(),
  tokens: amount.optional(),
  requests: amount.max(0x7fffffff).optional(),
});
const isLoopback = (hostname: string) => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
/** It may hold a secret, and says what sessions did: nobody on the way is to read it. */
const webhook = text.refine((given) => {
  const { protocol, hostname } = URL.parse(given) ?? {};
  return protocol === "https:" || (protocol === "http:" && isLoopback(hostname ?? ""));
}, "an https URL, or http on loopback");
/** Headers may hold a secret. */
const otlp = z
  .strictObject({
    endpoint: z.url({ protocol: /^https?$/ }),
    headers: z.record(text, text).optional(),
    interval_seconds: z.number().min(1).max(86_400).default(60),
    traces: z.boolean().default(true),
    claude: z.boolean().default(false),
  })
  .refine(({ endpoint, headers }) => {
    const { protocol, hostname } = URL.parse(endpoint) ?? {};
    return headers === undefined || protocol === "https:" || isLoopback(hostname ?? "");
  }, "with headers an https URL, or http on loopback");
const kind = z.enum(["api_key", "auth_token", "oauth_token"]);

/**
 * Variables that may hold a credential, by its kind. With "_FILE" behind the name, a variable names a file with one.
 */
export const CREDENTIAL_VARIABLES = {
  "api-key": "ANTHROPIC_API_KEY",
  "auth-token": "ANTHROPIC_AUTH_TOKEN",
  "oauth-token": "CLAUDE_CODE_OAUTH_TOKEN",
} as const;

/** All settings, by their key in config.json. What the README says of them is checked against this. */
export const SETTINGS = {
  credential: {
    schema: z.union([
      z.strictObject({ api_key: text }),
      z.strictObject({ auth_token: text }),
      z.strictObject({ oauth_token: text }),
      z.strictObject({ helper: texts.min(1), kind: kind.default("api_key") }),
    ]),
    variables: Object.values(CREDENTIAL_VARIABLES),
    otherwise: "none",
    description: "for the model; a variable with `_FILE` behind its name: a file that holds it",
  },
  git_credentials: {
    schema: z.record(text, z.strictObject({ token: text.min(1), username: text.min(1).optional() })),
    otherwise: "none",
    description: "for private repositories, by server",
  },
  git_credential_helper: {
    schema: z.boolean(),
    default: true,
    description: "your own git credential helpers are asked, too",
  },
  git_repositories: {
    schema: texts,
    default: [] as string[],
    description: "private ones that every session may use",
  },
  git_push_refs: {
    schema: texts,
    default: ["refs/heads/claude/*"],
    description: "where sessions may push to; `*` may stand at the end",
  },
  setup: {
    schema: z.record(text, text),
    otherwise: "none",
    description: "commands that prepare the workspace, by the repository's URL or top directory",
  },
  base_url: {
    schema: text,
    variables: ["ANTHROPIC_BASE_URL"],
    default: "https://api.anthropic.com",
    description: "the model's endpoint",
  },
  https_proxy: { schema: text, variables: ["https_proxy", "HTTPS_PROXY"], otherwise: "none", description: "for https" },
  http_proxy: { schema: text, variables: ["http_proxy", "HTTP_PROXY"], otherwise: "none", description: "for http" },
  no_proxy: {
    schema: text,
    variables: ["no_proxy", "NO_PROXY"],
    default: "",
    description: "names and networks that are reached without",
  },
  ca_file: { schema: text, otherwise: "Node's own", description: "further authorities, in PEM" },
  allowed_models: {
    schema: texts,
    variables: ["CLAUDECLUSTER_ALLOWED_MODELS"],
    otherwise: "every model",
    description: "`*` may stand at the end",
  },
  allowed_betas: { schema: texts, default: [] as string[], description: "further values of `anthropic-beta`" },
  max_output_tokens: {
    schema: amount,
    default: DEFAULT_MAX_OUTPUT_TOKENS,
    description: "the longest answer that may be asked for",
  },
  fallback_model: {
    schema: text,
    variables: ["CLAUDECLUSTER_FALLBACK_MODEL"],
    otherwise: "none",
    description: "asked instead of a model that is overloaded",
  },
  session_budget: {
    schema: budget,
    variables: ["CLAUDECLUSTER_SESSION_BUDGET_USD"],
    member: "usd",
    otherwise: "no bound",
    description: "of each session; the variable: its `usd`",
  },
  daily_budget: {
    schema: budget,
    variables: ["CLAUDECLUSTER_DAILY_BUDGET_USD"],
    member: "usd",
    otherwise: "no bound",
    description: "of all sessions of a day (UTC); the variable: its `usd`",
  },
  egress: {
    schema: z.enum(["none", "listed", "open"]),
    variables: ["CLAUDECLUSTER_EGRESS"],
    reason: "EGRESS_INVALID",
    default: "listed",
    description: "the widest that a session may have",
  },
  egress_allow: {
    schema: texts,
    variables: ["CLAUDECLUSTER_EGRESS_ALLOW"],
    default: [] as string[],
    description: "public hosts; one alone means port 443",
  },
  egress_private: {
    schema: texts,
    variables: ["CLAUDECLUSTER_EGRESS_PRIVATE"],
    default: [] as string[],
    description: "hosts on your own network",
  },
  egress_registries: { schema: z.boolean(), default: true, description: "package registries are listed, too" },
  egress_max_bytes: { schema: amount, default: MAX_EGRESS_BYTES, description: "what one session may move" },
  worktree_include: {
    schema: z.boolean(),
    default: false,
    description: "ignored files that a directory's `.worktreeinclude` matches go in",
  },
  user_files: {
    schema: texts,
    otherwise: "none",
    description: "of your own set-up for Claude Code, what goes into sessions that do not say",
  },
  image: {
    schema: text,
    variables: ["CLAUDECLUSTER_IMAGE"],
    default: "claudecluster/agent:latest",
    description: "of sessions that name none",
  },
  base_image: {
    schema: text,
    variables: ["CLAUDECLUSTER_BASE_IMAGE"],
    otherwise: "`node:24-bookworm-slim`, or one that is made here",
    description: "Debian 12 with Node 24 and npm, to build the agent's image on",
  },
  max_running: {
    schema: amount,
    variables: ["CLAUDECLUSTER_MAX_RUNNING"],
    otherwise: "four for each CPU of the engine, within 3/4 of its memory",
    description: "sessions that run at once; the others wait in a queue",
  },
  warm: {
    schema: z.int().min(0).max(16),
    variables: ["CLAUDECLUSTER_WARM"],
    otherwise: "1; 0 on an engine with less than 8 GiB",
    description: "containers that are kept prepared for the next sessions, once one has run",
  },
  notify: {
    schema: z.union([z.strictObject({ command: texts.min(1) }), z.strictObject({ url: webhook })]),
    otherwise: "nobody",
    description: "told as JSON of each session that finishes, fails or needs somebody: a command or a webhook",
  },
  otlp: {
    schema: otlp,
    otherwise: "none",
    description: "metrics and `traces` are pushed there by OTLP: `endpoint`, `headers`, `interval_seconds` (60)",
  },
  page_address: {
    schema: text,
    default: "127.0.0.1:0",
    description: "where the page is served, as host:port; port 0: any. Off loopback all of it travels in the clear",
  },
  idle_timeout_seconds: {
    schema: seconds,
    variables: ["CLAUDECLUSTER_IDLE_TIMEOUT"],
    default: 1800,
    description: "then a host that was started on demand ends: no live session, nobody there",
  },
  retention_days: {
    schema: seconds,
    variables: ["CLAUDECLUSTER_RETENTION_DAYS"],
    default: RETENTION.days,
    description: "finished sessions are kept this long; with changes that nobody has taken, longer",
  },
  store_max_bytes: {
    schema: amount,
    variables: ["CLAUDECLUSTER_STORE_MAX_BYTES"],
    default: RETENTION.maxBytes,
    description: "above this the oldest finished sessions go; never a live one, nor one with such changes",
  },
  session_max_bytes: {
    schema: amount,
    variables: ["CLAUDECLUSTER_SESSION_MAX_BYTES"],
    default: RETENTION.maxLiveBytes,
    description: "above this a live session's log keeps its states, turns and usage only, and says so",
  },
  log_level: {
    schema: z.enum(["debug", "info", "warn", "error", "silent"]),
    variables: ["CLAUDECLUSTER_LOG_LEVEL"],
    reason: "LOG_LEVEL_INVALID",
    default: "warn",
    description: "`debug`, `info`, `warn`, `error`, `silent`; JSON on stderr",
  },
  allow_weak_limits: {
    schema: z.boolean(),
    variables: ["CLAUDECLUSTER_ALLOW_WEAK_LIMITS"],
    default: false,
    description: "also use an engine that does not enforce memory, CPU and process limits; the variable: `1`",
  },
} as const satisfies Record<string, Setting>;

/** Settings that only the environment can give, by variable. */
export const VARIABLES: Readonly<Record<string, Pick<Setting, "description" | "otherwise">>> = {
  CLAUDECLUSTER_CONFIG_DIR: {
    description: "holds `config.json`",
    otherwise: "`$XDG_CONFIG_HOME/claudecluster` or `~/.config/claudecluster`",
  },
  CLAUDECLUSTER_STATE_DIR: {
    description: "the session store, and the log of a host that was started on demand (`host.log`)",
    otherwise: "`$XDG_STATE_HOME/claudecluster` or `~/.local/state/claudecluster`",
  },
  CLAUDECLUSTER_RUNTIME_DIR: {
    description: "the host's socket; must be this user's alone",
    otherwise: "`$XDG_RUNTIME_DIR/claudecluster` or `/tmp/claudecluster-<uid>`",
  },
  CLAUDECLUSTER_HOST: {
    description: "for commands and `mcp`: a host elsewhere, by its https origin, or http on loopback",
    otherwise: "the host of this machine and user",
  },
  CLAUDECLUSTER_TOKEN_FILE: {
    description: "bearer token that callers on TCP may share, or of `CLAUDECLUSTER_HOST`",
    otherwise: "none",
  },
  CLAUDECLUSTER_NODE: { description: "the Node to run on", otherwise: "one that is found" },
  DOCKER_HOST: { description: "the engine; otherwise the current docker context", otherwise: "the default socket" },
};

/**
 * Variables that begin like a setting and are none of the host's: those of the compose file, the agent's suite and the
 * tests.
 */
export const OTHER_VARIABLES = [
  "CONTROL_PORT",
  "HOST_IMAGE",
  "KEY_FILE",
  "NAME",
  "PORT",
  "AGENT_TOKEN",
  "SUITE_DIRECTORY",
  "TEST_IMAGE",
  "VERSION",
];

type Value<S extends Setting> = z.infer<S["schema"]> | (S extends { default: unknown } ? never : undefined);

/** Values of all settings, with their defaults. */
export type Settings = { [Key in keyof typeof SETTINGS]: Value<(typeof SETTINGS)[Key]> };
/** Content of config.json. */
export type ConfigFile = {
  -readonly [Key in keyof typeof SETTINGS]?: z.infer<(typeof SETTINGS)[Key]["schema"]> | undefined;
};
