import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { AppError } from "../proto/index.ts";
import type { Credential } from "./broker/credential.ts";
import { parseAuthority } from "./broker/proxy-gateway.ts";

/** What the host is set to. Read once from the environment. */
export interface HostConfig {
  /** Holds the session store. Default: $XDG_STATE_HOME/claudecluster or ~/.local/state/claudecluster. */
  stateDirectory: string;
  /** Image of sessions that name none. */
  defaultImage: string;
  modelEndpoint: URL;
  credential: Credential | undefined;
  egressAllowed: string[];
  logLevel: string;
  /** Containers may run where the engine cannot enforce their limits. */
  allowWeakLimits: boolean;
}

/** Reads the configuration. Throws INVALID_ARGUMENT naming the variable that is wrong. */
export function readConfig(given: NodeJS.ProcessEnv): HostConfig {
  // Empty is as good as not set.
  const env = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ""));
  return {
    stateDirectory:
      env["CLAUDECLUSTER_STATE_DIR"] ??
      join(env["XDG_STATE_HOME"] ?? join(homedir(), ".local", "state"), "claudecluster"),
    defaultImage: env["CLAUDECLUSTER_IMAGE"] ?? "claudecluster/agent:latest",
    modelEndpoint: readEndpoint(env["ANTHROPIC_BASE_URL"]),
    credential: readCredential(env),
    egressAllowed: readAllowList(env["CLAUDECLUSTER_EGRESS_ALLOW"]),
    logLevel: readLogLevel(env["CLAUDECLUSTER_LOG_LEVEL"] ?? "warn"),
    allowWeakLimits: env["CLAUDECLUSTER_ALLOW_WEAK_LIMITS"] === "1",
  };
}

const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"];

function readLogLevel(level: string): string {
  if (LOG_LEVELS.includes(level)) return level;
  throw new AppError("LOG_LEVEL_INVALID", `CLAUDECLUSTER_LOG_LEVEL is "${level.slice(0, 40)}".`, {
    kind: "INVALID_ARGUMENT",
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
    const trimmed = readSecret(env, name)?.trim();
    if (trimmed === undefined || trimmed === "") continue;
    // It becomes a header; a line break in it would be refused by Node with the value in the message.
    if (!/^[\x21-\x7e]+$/.test(trimmed)) {
      throw new AppError("CREDENTIAL_INVALID", "The configured credential holds characters that no credential has.", {
        kind: "INVALID_ARGUMENT",
        help: "Set it again, without quotes or line breaks.",
      });
    }
    return { kind, value: trimmed };
  }
  return undefined;
}

/** A variable, or the file that the variable with "_FILE" behind its name points to. */
function readSecret(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const value = env[name];
  const path = env[`${name}_FILE`];
  if ((value ?? "") !== "" || path === undefined || path === "") return value;
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new AppError("CREDENTIAL_UNREADABLE", `${name}_FILE names ${path}, which cannot be read.`, {
      kind: "FAILED_PRECONDITION",
      help: "Make the file, readable by this user only.",
      cause: error,
    });
  }
}

function readEndpoint(value: string | undefined): URL {
  const text = value === undefined || value === "" ? "https://api.anthropic.com" : value;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol) || url.username !== "" || url.password !== "") {
    throw new AppError("ENDPOINT_INVALID", "ANTHROPIC_BASE_URL is not an http(s) URL without credentials.", {
      kind: "INVALID_ARGUMENT",
      help: "Use one such as https://api.anthropic.com.",
    });
  }
  return url;
}

function readAllowList(value: string | undefined): string[] {
  const entries = (value ?? "")
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
  return entries.map((entry) => {
    const authority = parseAuthority(entry.includes(":") ? entry : `${entry}:443`);
    if (authority !== undefined) return authority;
    throw new AppError("EGRESS_INVALID", `CLAUDECLUSTER_EGRESS_ALLOW holds "${entry.slice(0, 100)}".`, {
      kind: "INVALID_ARGUMENT",
      help: "Use exact host:port entries, separated by commas.",
    });
  });
}
