import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { AppError } from "../../proto/index.ts";
import { describeIssue } from "./config-issue.ts";
import { isLink, makeProblem } from "../file-problem.ts";
import { jsonErrorLine } from "./json-error-line.ts";
import { type ConfigFile, SETTINGS } from "./settings.ts";

/** Unknown entries are refused: they are mistakes. */
const fileSchema = z.strictObject(
  Object.fromEntries(Object.entries(SETTINGS).map(([key, { schema }]) => [key, schema.optional()])),
) as unknown as z.ZodType<ConfigFile>;

/** Returns the path of the configuration file in its directory. */
export function configFilePath(configDirectory: string): string {
  return join(configDirectory, "config.json");
}

/**
 * Reads config.json; empty if there is none. Throws a FAILED_PRECONDITION error for wrong entries, for a file that
 * others could have written, and for one with a secret that others can read. No error repeats a value from the file.
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
  const { credential, git_credentials: gitCredentials, otlp } = parsed.data;
  const holdsSecret =
    (credential !== undefined && !("helper" in credential)) ||
    gitCredentials !== undefined ||
    otlp?.headers !== undefined;
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
