import { constants } from "node:fs";
import { open, readdir, realpath } from "node:fs/promises";
import { join, relative } from "node:path";
import { create } from "@bufbuild/protobuf";
import {
  AppError,
  checkUserFiles,
  checkVariable,
  isUserFileDirectory,
  isUserFilePath,
  rawPathOf,
  USER_FILES,
  USER_FILES_HELP,
  type UserFile,
  type UserFiles,
  UserFileSchema,
  UserFilesSchema,
} from "../../proto/index.ts";
import { nameSome } from "../name-some.ts";
import { givenPathText } from "../present/path-text.ts";
import { looksSecret } from "../repository/secret-names.ts";

/** What programs leave beside files, and is nobody's set-up. */
const PASSED_OVER = new Set([".git", ".DS_Store", "node_modules", "__pycache__"]);
/** Of each reason for which files stay out, so many are named. */
const MAX_LEFT_OUT = 20;
/** Links can make any number of paths from a few directories. */
const MAX_LOOKED_AT = 5_000;
const SETTINGS = "settings.json";
/** Members of settings.json that run a program for a credential. */
const HELPERS = ["apiKeyHelper", "awsAuthRefresh", "awsCredentialExport", "gcpAuthRefresh", "otelHeadersHelper"];

/**
 * Reads what somebody has named of the user's own set-up: files, and directories with everything in them, by their paths from
 * Claude Code's configuration directory on. A link is followed only to what could be named itself; what looks like a secret, by
 * its name or by that of what it leads to, never goes in. Of a directory these stay out, and are told; named themselves they are
 * refused. Throws USER_FILE_INVALID, USER_FILE_SECRET, USER_FILES_TOO_LARGE.
 */
export async function readUserFiles(
  names: readonly string[],
  { directory }: { directory: string },
): Promise<UserFiles> {
  const reading = new Reading(directory, await realpath(directory).catch(() => directory));
  for (const name of names) await reading.add(name);
  return reading.result();
}

/** What was read so far. */
class Reading {
  readonly #shown: string;
  readonly #root: string;
  readonly #files = new Map<string, UserFile>();
  readonly #leftOut = new Map<string, string[]>();
  #bytes = 0;
  #lookedAt = 0;

  constructor(shown: string, root: string) {
    this.#shown = shown;
    this.#root = root;
  }

  async add(given: string): Promise<void> {
    const path = given.replace(/^~\/\.claude\/|^\.\//, "").replace(/\/+$/, "");
    if (!canBeNamed(path)) {
      throw new AppError("USER_FILE_INVALID", `${givenPathText(given)} is nothing of a set-up that can go in.`, {
        help: USER_FILES_HELP,
      });
    }
    if (looksSecret(rawPathOf(path))) throw secret(path, "looks like a secret by its name");
    const real = await realpath(join(this.#root, path)).catch(() => undefined);
    if (real === undefined) throw await this.#missing(path);
    const target = relative(this.#root, real);
    if (looksSecret(rawPathOf(target))) throw secret(path, "is a link to what looks like a secret by its name");
    if (!mayLead(path, target))
      throw this.#refused(path, `is a link to ${givenPathText(real)}, outside of it or of what can go in`);
    await this.#take(path, real, true);
  }

  result(): UserFiles {
    const files = [...this.#files.values()];
    checkUserFiles(files);
    const leftOut = [...this.#leftOut].map(([reason, paths]) => ({
      reason,
      count: paths.length,
      paths: paths.slice(0, MAX_LEFT_OUT),
    }));
    return create(UserFilesSchema, { files, leftOut });
  }

  /** A file, or a directory with what is in it. */
  async #take(path: string, real: string, named: boolean): Promise<void> {
    const entries = await readdir(real, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOTDIR") return undefined;
      throw this.#refused(path, `cannot be read (${error.code})`);
    });
    if (entries === undefined) return await this.#takeFile(path, real, named);
    for (const { name } of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const inner = `${path}/${name}`;
      if (PASSED_OVER.has(name)) continue;
      if (++this.#lookedAt > MAX_LOOKED_AT) throw tooLarge(inner);
      if (looksSecret(rawPathOf(inner))) {
        this.#leaveOut("secret", inner);
        continue;
      }
      const innerReal = await realpath(join(real, name)).catch(() => undefined);
      const target = innerReal === undefined ? "" : relative(this.#root, innerReal);
      if (innerReal === undefined) this.#leaveOut("unreadable", inner);
      else if (!isUserFilePath(inner)) this.#leaveOut("name", inner);
      else if (looksSecret(rawPathOf(target))) this.#leaveOut("secret", inner);
      else if (!mayLead(inner, target) || `${real}/`.startsWith(`${innerReal}/`)) this.#leaveOut("link", inner);
      else await this.#take(inner, innerReal, false);
    }
  }

  async #takeFile(path: string, real: string, named: boolean): Promise<void> {
    if (!isUserFilePath(path)) throw this.#refused(path, "is a file, and no directory");
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const file = await open(real, flags).catch(() => undefined);
    try {
      const facts = await file?.stat();
      if (file === undefined || facts?.isFile() !== true) {
        if (named) throw this.#refused(path, "is no file that can be read");
        return this.#leaveOut("unreadable", path);
      }
      if (this.#files.has(path)) return;
      if (this.#bytes + facts.size > USER_FILES.maxBytes || this.#files.size >= USER_FILES.maxCount) {
        throw tooLarge(path);
      }
      const data = await file.readFile();
      if (path === SETTINGS) checkSettings(data);
      this.#bytes += data.length;
      const executable = (facts.mode & 0o100) !== 0;
      this.#files.set(path, create(UserFileSchema, { path, data, sizeBytes: BigInt(data.length), executable }));
    } finally {
      await file?.close();
    }
  }

  #leaveOut(reason: string, path: string): void {
    const paths = this.#leftOut.get(reason) ?? [];
    paths.push(path);
    this.#leftOut.set(reason, paths);
  }

  #refused(path: string, why: string): AppError {
    return new AppError("USER_FILE_INVALID", `${givenPathText(path)} in ${givenPathText(this.#shown)} ${why}.`, {
      help: USER_FILES_HELP,
    });
  }

  async #missing(path: string): Promise<AppError> {
    const [first = ""] = path.split("/");
    const there = path === first ? [] : await readdir(join(this.#root, first)).catch(() => []);
    const others = there.filter((name) => !name.startsWith(".")).map((name) => givenPathText(`${first}/${name}`));
    const help = others.length === 0 ? USER_FILES_HELP : `There are: ${nameSome(others)}.`;
    return new AppError("USER_FILE_INVALID", `There is no ${givenPathText(path)} in ${givenPathText(this.#shown)}.`, {
      help,
    });
  }
}

function canBeNamed(path: string): boolean {
  if (path.split("/").some((name) => PASSED_OVER.has(name))) return false;
  return isUserFilePath(path) || isUserFileDirectory(path);
}

/** Whether a path may be a link to another one. Beside the set-up are credentials, and settings are looked into as such. */
function mayLead(path: string, target: string): boolean {
  return canBeNamed(target) && (target !== SETTINGS || path === SETTINGS);
}

/** Settings count in the container as they do here: variables in them are no way around what sessions may not have. */
function checkSettings(data: Buffer): void {
  let settings: unknown;
  try {
    settings = JSON.parse(data.toString("utf8"));
  } catch (error) {
    throw new AppError("USER_FILE_INVALID", `${SETTINGS} is no JSON.`, {
      help: "Mend it, or leave it out.",
      cause: error,
    });
  }
  if (typeof settings !== "object" || settings === null) return;
  const helper = HELPERS.find((name) => name in settings);
  if (helper !== undefined) throw secret(SETTINGS, `names a program for credentials (${helper})`);
  for (const [name, value] of Object.entries((settings as { env?: Record<string, unknown> }).env ?? {})) {
    if (/token|secret|passw|key|credential|auth/i.test(name)) throw secret(SETTINGS, `sets ${name}`);
    checkVariable(name, String(value));
  }
}

function secret(path: string, why: string): AppError {
  return new AppError("USER_FILE_SECRET", `${givenPathText(path)} ${why}: no secret goes into a container.`, {
    help: "Leave it out, or name what is beside it.",
  });
}

function tooLarge(path: string): AppError {
  const { maxCount, maxBytes } = USER_FILES;
  return new AppError(
    "USER_FILES_TOO_LARGE",
    `With ${givenPathText(path)} the user's own files are too many, or too large.`,
    {
      help: `Name fewer of them: at most ${maxCount}, and ${maxBytes} bytes.`,
    },
  );
}
