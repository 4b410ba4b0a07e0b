import { readFileSync } from "node:fs";
import { fromJsonString } from "@bufbuild/protobuf";
import { AppError, cutChars, type PrepareSessionRequest, PrepareSessionRequestSchema } from "../proto/index.ts";
import type { Identity } from "./process/identity.ts";

/** Address on TCP for callers, and the token that they must show. */
export interface ListenConfig {
  readonly host: string;
  readonly port: number;
  readonly token: string;
}

/** Configuration of the agent by its container. */
export interface AgentConfig {
  /** Path of the unix socket for callers. */
  readonly socketPath: string;
  /** Address on TCP for callers. Undefined: there is none. */
  readonly listen: ListenConfig | undefined;
  /** User that Claude, its tools and git run as. Undefined: the agent's own, for tests on a bare machine. */
  readonly sessionIdentity: Identity | undefined;
  /** User that keeps the start state, which Claude must not write. Undefined: the agent's own. */
  readonly baseIdentity: Identity | undefined;
  readonly paths: { readonly workTree: string; readonly base: string; readonly scan: string; readonly supply: string };
  /** Home directory of the session's user. */
  readonly home: string;
  /** Directories in which Claude and its tools look for programs, separated by colons. */
  readonly path: string;
  /** Name or absolute path of Claude Code. */
  readonly claudeCommand: string;
  /** Loopback port for Claude's requests to the model. 0: any free one, here and below. */
  readonly modelPort: number;
  /** Loopback port of the proxy for everything else. */
  readonly proxyPort: number;
  /** Loopback port for git. */
  readonly gitPort: number;
  /** Time without a host after which the agent ends its session and itself (ms). */
  readonly hostAbsenceTimeoutMs: number;
  /**
   * Time that the agent stays without a host after its session has ended (ms), so that a late host finds the result.
   */
  readonly keepTimeoutMs: number;
  readonly logLevel: string;
  /** Session to come, for which a Claude is started with the agent. Undefined: none is known. */
  readonly prepare: PrepareSessionRequest | undefined;
}

const LOG_LEVELS = ["trace", "debug", "info", "warn", "error"];
const PREFIX = "CLAUDECLUSTER_";
/** The build's, which may be in the environment where nothing was built. */
const VERSION = "CLAUDECLUSTER_VERSION";
const MIN_TOKEN_LENGTH = 16;

/** Default of each setting, by its name without CLAUDECLUSTER_. Empty: there is none, or another setting decides. */
export const DEFAULTS = {
  SOCKET: "/run/agent/agent.sock",
  LISTEN: "",
  TOKEN_FILE: "",
  SESSION_UID: "1000",
  SESSION_GID: "",
  BASE_UID: "1001",
  BASE_GID: "",
  WORK_TREE: "/workspace/repo",
  BASE_DIRECTORY: "/base",
  SCAN_DIRECTORY: "/scan",
  SUPPLY_DIRECTORY: "/supply",
  HOME: "/home/claude",
  PATH: "",
  CLAUDE_COMMAND: "claude",
  MODEL_PORT: "8080",
  PROXY_PORT: "3128",
  GIT_PORT: "9418",
  HOST_ABSENCE_TIMEOUT_SECONDS: "60",
  KEEP_TIMEOUT_SECONDS: "3600",
  LOG_LEVEL: "info",
  PREPARE: "",
};
type Name = keyof typeof DEFAULTS;

/** Reads the configuration from environment variables. Throws CONFIGURATION_INVALID. */
export function readConfig(
  variables: Readonly<Record<string, string | undefined>>,
  { ownUid }: { ownUid: number },
): AgentConfig {
  const text = (name: Name, fallback: string = DEFAULTS[name]) => {
    const value = variables[PREFIX + name] ?? "";
    return value === "" ? fallback : value;
  };
  const path = (name: Name) => {
    const value = text(name);
    if (!value.startsWith("/")) throw invalid(name, value, "an absolute path");
    return value;
  };
  const whole = (name: Name, [min, max]: readonly [number, number], fallback?: number) => {
    const value = text(name, fallback?.toString());
    const number = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= min && number <= max)) throw invalid(name, value, `a whole number from ${min} to ${max}`);
    return number;
  };
  const identity = (uidName: Name, gidName: Name): Identity | undefined => {
    const uid = whole(uidName, [0, 0xffff_fffe], ownUid === 0 ? undefined : ownUid);
    const gid = whole(gidName, [0, 0xffff_fffe], uid);
    if (ownUid === 0 && uid === 0)
      throw invalid(uidName, "0", "another user than root: Claude must not be the agent's");
    if (ownUid !== 0 && uid !== ownUid) throw invalid(uidName, String(uid), `${ownUid}: only root can use other users`);
    return ownUid === 0 ? { uid, gid } : undefined;
  };
  const port = [0, 65535] as const;
  const level = text("LOG_LEVEL");
  if (!LOG_LEVELS.includes(level)) throw invalid("LOG_LEVEL", level, `one of ${LOG_LEVELS.join(", ")}`);
  const config = {
    socketPath: path("SOCKET"),
    listen: readListen(text("LISTEN"), text("TOKEN_FILE")),
    sessionIdentity: identity("SESSION_UID", "SESSION_GID"),
    baseIdentity: identity("BASE_UID", "BASE_GID"),
    paths: {
      workTree: path("WORK_TREE"),
      base: path("BASE_DIRECTORY"),
      scan: path("SCAN_DIRECTORY"),
      supply: path("SUPPLY_DIRECTORY"),
    },
    home: path("HOME"),
    path: text("PATH", variables["PATH"] ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    claudeCommand: text("CLAUDE_COMMAND"),
    modelPort: whole("MODEL_PORT", port),
    proxyPort: whole("PROXY_PORT", port),
    gitPort: whole("GIT_PORT", port),
    hostAbsenceTimeoutMs: 1000 * whole("HOST_ABSENCE_TIMEOUT_SECONDS", [1, 86_400]),
    keepTimeoutMs: 1000 * whole("KEEP_TIMEOUT_SECONDS", [0, 86_400]),
    logLevel: level,
    prepare: readPreparation(text("PREPARE")),
  };
  const { sessionIdentity, baseIdentity } = config;
  if (sessionIdentity !== undefined && sessionIdentity.uid === baseIdentity?.uid) {
    throw invalid(
      "BASE_UID",
      String(baseIdentity.uid),
      "another user than SESSION_UID: Claude must not write the base",
    );
  }
  const unknown = Object.keys(variables).find(
    (name) => name.startsWith(PREFIX) && !Object.hasOwn(DEFAULTS, name.slice(PREFIX.length)) && name !== VERSION,
  );
  if (unknown !== undefined) throw unknownVariable(unknown);
  return config;
}

function readPreparation(json: string): PrepareSessionRequest | undefined {
  try {
    // A newer host may say more, as in a call.
    return json === "" ? undefined : fromJsonString(PrepareSessionRequestSchema, json, { ignoreUnknownFields: true });
  } catch (cause) {
    throw invalid("PREPARE", cutChars(json, 128), "a PrepareSessionRequest as JSON", cause);
  }
}

function readListen(address: string, tokenFile: string): ListenConfig | undefined {
  if (address === "") return undefined;
  const match = /^(\[[0-9a-fA-F:]+\]|[^:\s]+):(\d{1,5})$/.exec(address);
  if (match === null || Number(match[2]) > 65535) throw invalid("LISTEN", address, "host:port");
  if (tokenFile === "") throw invalid("TOKEN_FILE", "", "a file with a token, since LISTEN is set");
  return { host: match[1]!, port: Number(match[2]), token: readToken(tokenFile) };
}

function readToken(file: string): string {
  let token: string;
  try {
    token = readFileSync(file, "utf8").trim();
  } catch (cause) {
    throw invalid("TOKEN_FILE", file, "a file that can be read", cause);
  }
  // The value itself must not get into a message.
  if (token.length < MIN_TOKEN_LENGTH || !/^[\x21-\x7e]+$/.test(token)) {
    throw invalid("TOKEN_FILE", file, `a file with a token of at least ${MIN_TOKEN_LENGTH} printable characters`);
  }
  return token;
}

function invalid(name: Name, value: string, expected: string, cause?: unknown): AppError {
  return new AppError("CONFIGURATION_INVALID", `${PREFIX}${name} is "${value}"; it must be ${expected}.`, {
    cause,
    metadata: { name: PREFIX + name, value },
  });
}

/** A misspelt name would otherwise be a limit that is silently not there. */
function unknownVariable(name: string): AppError {
  return new AppError("CONFIGURATION_INVALID", `There is no setting ${name}.`, {
    metadata: { name },
    help: `There are: ${Object.keys(DEFAULTS)
      .map((each) => PREFIX + each)
      .join(", ")}.`,
  });
}
