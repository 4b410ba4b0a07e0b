import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { AppError } from "../../proto/index.ts";
import { describeIssue } from "./config-issue.ts";
import { isLink, makeProblem } from "../file-problem.ts";
import { jsonErrorLine } from "./json-error-line.ts";

const kindSchema = z.enum(["api_key", "auth_token", "oauth_token"]);

const budgetSchema = z.strictObject({
  usd: z.number().positive().optional(),
  tokens: z.int().min(1).optional(),
  requests: z.int().min(1).max(0x7fffffff).optional(),
});

/** What config.json may hold. Unknown entries are refused: they are mistakes. */
const fileSchema = z.strictObject({
  credential: z
    .union([
      z.strictObject({ api_key: z.string() }),
      z.strictObject({ auth_token: z.string() }),
      z.strictObject({ oauth_token: z.string() }),
      z.strictObject({ helper: z.array(z.string()).min(1), kind: kindSchema.default("api_key") }),
    ])
    .optional(),
  git_credentials: z
    .record(z.string(), z.strictObject({ token: z.string().min(1), username: z.string().min(1).optional() }))
    .optional(),
  git_credential_helper: z.boolean().optional(),
  git_repositories: z.array(z.string()).optional(),
  git_push_refs: z.array(z.string()).optional(),
  base_url: z.string().optional(),
  https_proxy: z.string().optional(),
  http_proxy: z.string().optional(),
  no_proxy: z.string().optional(),
  ca_file: z.string().optional(),
  allowed_models: z.array(z.string()).optional(),
  allowed_betas: z.array(z.string()).optional(),
  max_output_tokens: z.int().min(1).optional(),
  fallback_model: z.string().optional(),
  session_budget: budgetSchema.optional(),
  daily_budget: budgetSchema.optional(),
  egress: z.string().optional(),
  egress_allow: z.array(z.string()).optional(),
  egress_private: z.array(z.string()).optional(),
  egress_registries: z.boolean().optional(),
  egress_max_bytes: z.int().min(1).optional(),
  image: z.string().optional(),
  idle_timeout_seconds: z.number().min(0).optional(),
  max_running: z.int().min(1).optional(),
  retention_days: z.number().min(0).optional(),
  store_max_bytes: z.int().min(1).optional(),
  session_max_bytes: z.int().min(1).optional(),
  log_level: z.string().optional(),
  allow_weak_limits: z.boolean().optional(),
});

/** What the user has configured in config.json. */
export type ConfigFile = z.infer<typeof fileSchema>;

/** The configuration file in its directory. */
export function configFilePath(configDirectory: string): string {
  return join(configDirectory, "config.json");
}

/**
 * Reads config.json; empty if there is none. Throws FAILED_PRECONDITION for one that others could
 * have written, or could read although it holds a secret, or that has wrong entries.
 * No error repeats a value that the file holds.
 */
export function readConfigFile(configDirectory: string): ConfigFile {
  const path = configFilePath(configDirectory);
  const read = readOwnFile(path);
  if (read === undefined) return {};
  const parsed = fileSchema.safeParse(parseJson(path, read.text));
  if (!parsed.success) {
    throw new AppError("CONFIG_INVALID", `${path}: ${parsed.error.issues.map(describeIssue).join("; ")}.`, {
      help: "host/README.md lists its entries.",
      metadata: { path },
    });
  }
  const { credential, git_credentials: gitCredentials } = parsed.data;
  const holdsSecret = (credential !== undefined && !("helper" in credential)) || gitCredentials !== undefined;
  if (holdsSecret && (read.mode & 0o077) !== 0) {
    throw unsafe(path, "holds a credential and can be read by others");
  }
  return parsed.data;
}

/** The text and mode of a file that only its owner, this user, may write. Undefined if there is none. */
function readOwnFile(path: string): { text: string; mode: number } | undefined {
  let descriptor: number;
  try {
    // A pipe would be waited for.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT" && !isLink(path)) return undefined;
    const { why, cure } = makeProblem(path, error);
    throw unreadable(path, why, `${cure}, or set CLAUDECLUSTER_CONFIG_DIR to another directory.`, error);
  }
  try {
    const facts = fstatSync(descriptor);
    const { mode, uid } = facts;
    const own = process.getuid?.();
    if (facts.isDirectory()) throw unreadable(path, "it is a directory", NOT_A_FILE);
    if (!facts.isFile()) throw unreadable(path, "it is not a file", NOT_A_FILE);
    if (own !== undefined && uid !== own) {
      const what = `belongs to another user (uid ${uid}, this is uid ${own})`;
      throw unsafe(path, what, `sudo chown ${own} ${path}`);
    }
    if ((mode & 0o022) !== 0) throw unsafe(path, "can be written by others");
    // Editors on Windows put a byte order mark before it.
    return { text: readFileSync(descriptor, "utf8").replace(/^\ufeff/, ""), mode };
  } finally {
    closeSync(descriptor);
  }
}

const NOT_A_FILE = "Move it away, and write the configuration as a file.";

function unreadable(path: string, why: string, help: string, cause?: unknown): AppError {
  return new AppError("CONFIG_UNREADABLE", `${path} cannot be read: ${why}.`, {
    help,
    metadata: { path },
    cause,
  });
}

function unsafe(path: string, what: string, command = `chmod 600 ${path}`): AppError {
  return new AppError("CONFIG_UNSAFE", `${path} ${what}.`, {
    help: `Make it yours alone: ${command}`,
    metadata: { path },
  });
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message repeats parts of the text.
    throw new AppError("CONFIG_INVALID", `${path} is not JSON: line ${jsonErrorLine(text)} is wrong.`, {
      help: "Names and texts stand in double quotes, a comma between two entries and none behind the last; no comments.",
      metadata: { path },
    });
  }
}
