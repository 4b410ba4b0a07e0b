import { randomBytes } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { AppError } from "../../proto/index.ts";
import { ExclusiveLock } from "../exclusive-lock.ts";
import { fileProblem, isLink, readProblem } from "../file-problem.ts";
import { makeStateDirectory, onStateFile } from "../state-directory.ts";
import { digestOf } from "./callers.ts";

/** Secret scanners and people know a token by its beginning. */
const TOKEN_PREFIX = "ccl_";
/** It stands in lists and logs, so nothing in it may surprise. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;

const fileSchema = z.strictObject({
  tokens: z.array(
    z.strictObject({
      name: z.string().regex(NAME),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
      create_time: z.iso.datetime(),
    }),
  ),
});

/** Token of a caller elsewhere, as it is kept. */
export type NamedToken = z.infer<typeof fileSchema>["tokens"][number];

/** Returns the path of what is kept of the callers' tokens. */
export function tokensPath(stateDirectory: string): string {
  return join(stateDirectory, "tokens.json");
}

/** Reads what is kept of the callers' tokens, in the order of their names. Throws TOKENS_INVALID, also where others can use the file. */
export function readTokens(stateDirectory: string): NamedToken[] {
  const path = tokensPath(stateDirectory);
  const text = readPrivateFile(path);
  if (text === undefined) return [];
  const read = fileSchema.safeParse(parse(text));
  const { tokens = [] } = read.data ?? {};
  const names = new Set(tokens.map(({ name }) => name));
  if (read.success && names.size === tokens.length) return tokens.sort((a, b) => (a.name < b.name ? -1 : 1));
  throw invalid(path, "does not hold what the `token` command writes");
}

/**
 * Makes a token with this name and returns it; what is kept of it cannot be shown by a caller. Throws TOKEN_NAME_INVALID,
 * TOKEN_EXISTS, and what changing the file throws.
 */
export function addToken(stateDirectory: string, name: string): string {
  if (!NAME.test(name)) {
    throw new AppError(
      "TOKEN_NAME_INVALID",
      "A token's name has 1 to 64 letters, digits, and . _ @ - behind the first.",
      {
        help: "Name the caller: claudecluster token add alice",
      },
    );
  }
  const token = `${TOKEN_PREFIX}${randomBytes(32).toString("base64url")}`;
  change(stateDirectory, (tokens) => {
    if (tokens.some((known) => known.name === name)) {
      throw new AppError("TOKEN_EXISTS", `There is a token with the name ${name}, and it is not shown again.`, {
        help: `Take another name, or remove that one first: claudecluster token remove ${name}`,
      });
    }
    return [...tokens, { name, sha256: digestOf(token).toString("hex"), create_time: new Date().toISOString() }];
  });
  return token;
}

/** Removes the token with this name. Throws TOKEN_UNKNOWN, and what changing the file throws. */
export function removeToken(stateDirectory: string, name: string): void {
  change(stateDirectory, (tokens) => {
    const left = tokens.filter((known) => known.name !== name);
    if (left.length < tokens.length) return left;
    throw new AppError("TOKEN_UNKNOWN", "There is no token with this name.", {
      help: "claudecluster token list shows those that there are.",
    });
  });
}

/** Nobody else changes it meanwhile, and no reader sees half of it. Throws TOKENS_BUSY, STATE_FILE_UNUSABLE. */
function change(stateDirectory: string, next: (tokens: NamedToken[]) => NamedToken[]): void {
  makeStateDirectory(stateDirectory);
  using lock = ExclusiveLock.take(join(stateDirectory, "tokens.lock"));
  if (lock === undefined) {
    throw new AppError("TOKENS_BUSY", "Another command is changing the tokens.", {
      retryable: true,
      help: "Try again.",
    });
  }
  const tokens = next(readTokens(stateDirectory));
  const path = tokensPath(stateDirectory);
  const fresh = `${path}.${process.pid}`;
  onStateFile(path, () => {
    try {
      writeFileSync(fresh, `${JSON.stringify({ tokens }, undefined, 2)}\n`, { mode: 0o600, flush: true });
      renameSync(fresh, path);
    } finally {
      rmSync(fresh, { force: true });
    }
  });
}

function readPrivateFile(path: string): string | undefined {
  let descriptor: number;
  try {
    // A pipe would be waited for, and a link may lead anywhere.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw invalid(path, isLink(path) ? "is a link" : `cannot be read: ${readProblem(error)}`);
  }
  try {
    const facts = fstatSync(descriptor);
    if (!facts.isFile()) throw invalid(path, "is not a file");
    if (facts.uid !== process.getuid?.()) throw invalid(path, "belongs to another user");
    if ((facts.mode & 0o077) !== 0) throw invalid(path, "can be used by other users");
    return readFileSync(descriptor, "utf8");
  } catch (error) {
    if (fileProblem(error) === undefined) throw error;
    throw invalid(path, `cannot be read: ${readProblem(error)}`);
  } finally {
    closeSync(descriptor);
  }
}

/** What is no JSON is as wrong as other JSON. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function invalid(path: string, what: string): AppError {
  return new AppError("TOKENS_INVALID", `${path} ${what}: nobody gets in with a token of their own.`, {
    help: "Make it this user's alone (chmod 600), or remove it and give out new tokens.",
    metadata: { path },
  });
}
