import { readFileSync } from "node:fs";
import { AppError } from "../proto/index.ts";
import type { Identity } from "./process/identity.ts";

/** An address for callers that are not on the unix socket, and what they must show. */
export interface ListenConfig {
  readonly host: string;
  readonly port: number;
  readonly token: string;
}

/** All that the agent is told by its container. */
export interface AgentConfig {
  /** The unix socket that callers come in by. */
  readonly socketPath: string;
  readonly listen: ListenConfig | undefined;
  /** Whom Claude, its tools and git run as. Undefined: the agent's own user, for tests on a bare host. */
  readonly sessionIdentity: Identity | undefined;
  /** Who keeps the repository that changes are found against. */
  readonly baseIdentity: Identity | undefined;
  readonly paths: { readonly workTree: string; readonly base: string; readonly scan: string };
  /** Home of the session's user. */
  readonly home: string;
  /** Where Claude and its tools look for programs. */
  readonly path: string;
  /** Name or absolute path of Claude Code. */
  readonly claudeCommand: string;
  /** Loopback ports that Claude's model requests, its proxy requests and git's come in by. 0: any free one. */
  readonly modelPort: number;
  readonly proxyPort: number;
  readonly gitPort: number;
  readonly hostAbsenceTimeoutMs: number;
  /** How long an agent without a host stays after its session has ended, so that nothing is lost to a host that comes late. */
  readonly keepTimeoutMs: number;
  readonly logLevel: string;
}

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const LOG_LEVELS = ["trace", "debug", "info", "warn", "error"];
const PREFIX = "CLAUDECLUSTER_";
const MIN_TOKEN_LENGTH = 16;

/** Reads the configuration from environment variables. Throws CONFIGURATION_INVALID. */
export function readConfig(
  variables: Readonly<Record<string, string | undefined>>,
  { ownUid }: { ownUid: number },
): AgentConfig {
  // The version is the build's, and may be in the environment where nothing was built.
  const names = new Set<string>(["VERSION"]);
  const text = (name: string, fallback: string) => {
    names.add(name);
    const value = variables[PREFIX + name] ?? "";
    return value === "" ? fallback : value;
  };
  const path = (name: string, fallback: string) => {
    const value = text(name, fallback);
    if (!value.startsWith("/")) throw invalid(name, value, "an absolute path");
    return value;
  };
  const whole = (name: string, fallback: number, [min, max]: readonly [number, number]) => {
    const value = text(name, String(fallback));
    const number = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= min && number <= max)) throw invalid(name, value, `a whole number from ${min} to ${max}`);
    return number;
  };
  const identity = (uidName: string, gidName: string, fallback: number): Identity | undefined => {
    const uid = whole(uidName, ownUid === 0 ? fallback : ownUid, [0, 0xffff_fffe]);
    const gid = whole(gidName, uid, [0, 0xffff_fffe]);
    if (ownUid === 0 && uid === 0)
      throw invalid(uidName, "0", "another user than root: Claude must not be the agent's");
    if (ownUid !== 0 && uid !== ownUid) throw invalid(uidName, String(uid), `${ownUid}: only root can use other users`);
    return ownUid === 0 ? { uid, gid } : undefined;
  };
  const port = [0, 65535] as const;
  const level = text("LOG_LEVEL", "info");
  if (!LOG_LEVELS.includes(level)) throw invalid("LOG_LEVEL", level, `one of ${LOG_LEVELS.join(", ")}`);
  const config = {
    socketPath: path("SOCKET", "/run/agent/agent.sock"),
    listen: readListen(text("LISTEN", ""), text("TOKEN_FILE", "")),
    sessionIdentity: identity("SESSION_UID", "SESSION_GID", 1000),
    baseIdentity: identity("BASE_UID", "BASE_GID", 1001),
    paths: {
      workTree: path("WORK_TREE", "/workspace/repo"),
      base: path("BASE_DIRECTORY", "/base"),
      scan: path("SCAN_DIRECTORY", "/scan"),
    },
    home: path("HOME", "/home/claude"),
    path: text("PATH", variables["PATH"] ?? DEFAULT_PATH),
    claudeCommand: text("CLAUDE_COMMAND", "claude"),
    modelPort: whole("MODEL_PORT", 8080, port),
    proxyPort: whole("PROXY_PORT", 3128, port),
    gitPort: whole("GIT_PORT", 9418, port),
    hostAbsenceTimeoutMs: 1000 * whole("HOST_ABSENCE_TIMEOUT_SECONDS", 60, [1, 86_400]),
    keepTimeoutMs: 1000 * whole("KEEP_TIMEOUT_SECONDS", 3600, [0, 86_400]),
    logLevel: level,
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
    (name) => name.startsWith(PREFIX) && !names.has(name.slice(PREFIX.length)),
  );
  if (unknown !== undefined) throw unknownVariable(unknown, names);
  return config;
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

function invalid(name: string, value: string, expected: string, cause?: unknown): AppError {
  return new AppError("CONFIGURATION_INVALID", `${PREFIX}${name} is "${value}"; it must be ${expected}.`, {
    cause,
    metadata: { name: PREFIX + name, value },
  });
}

/** A misspelt name would otherwise be a limit that is silently not there. */
function unknownVariable(name: string, known: ReadonlySet<string>): AppError {
  return new AppError("CONFIGURATION_INVALID", `There is no setting ${name}.`, {
    metadata: { name },
    help: `There are: ${[...known].map((each) => PREFIX + each).join(", ")}.`,
  });
}
