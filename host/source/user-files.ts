import { constants } from "node:fs";
import { open, readdir, realpath } from "node:fs/promises";
import { join, sep } from "node:path";
import { create } from "@bufbuild/protobuf";
import {
  AppError,
  checkUserFiles,
  checkVariable,
  isUserFileDirectory,
  isUserFilePath,
  rawPathOf,
  USER_FILES,
  type UserFile,
  type UserFiles,
  UserFileSchema,
  UserFilesSchema,
} from "../../proto/index.ts";
import { nameSome } from "../name-some.ts";
import { looksSecret } from "../repository/secret-names.ts";

/** What programs leave beside files, and is nobody's set-up. */
const PASSED_OVER = new Set([".git", ".DS_Store", "node_modules", "__pycache__"]);
/** Of each reason for which files stay out, so many are named. */
const MAX_LEFT_OUT = 20;
/** Members of settings.json that run a program for a credential. */
const HELPERS = ["apiKeyHelper", "awsAuthRefresh", "awsCredentialExport", "gcpAuthRefresh", "otelHeadersHelper"];
const HELP =
  'Name "CLAUDE.md", "skills/<name>", "agents/<name>.md", "commands/<name>.md", or a whole directory such as "skills".';

/**
 * Reads what somebody has named of the user's own set-up: files, and directories with everything in them, by their paths from
 * Claude Code's configuration directory on. A link that leads out of that directory is not followed; what looks like a secret
 * never goes in. Of a directory these stay out, and are told; named themselves they are refused. Throws USER_FILE_INVALID,
 * USER_FILE_SECRET, USER_FILES_TOO_LARGE.
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

  constructor(shown: string, root: string) {
    this.#shown = shown;
    this.#root = root;
  }

  async add(given: string): Promise<void> {
    const path = given.replace(/^~\/\.claude\/|^\.\//, "").replace(/\/+$/, "");
    if (!isUserFilePath(path) && !isUserFileDirectory(path)) {
      throw new AppError("USER_FILE_INVALID", `"${given}" is nothing of a set-up that can go in.`, { help: HELP });
    }
    if (looksSecret(rawPathOf(path))) throw secret(path, "looks like a secret by its name");
    const real = await realpath(join(this.#root, path)).catch(() => undefined);
    if (real === undefined) throw await this.#missing(path);
    if (!this.#isInside(real)) throw this.#refused(path, `is a link to ${real}, outside of it`);
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
      if (looksSecret(rawPathOf(inner))) {
        this.#leaveOut("secret", inner);
        continue;
      }
      const target = await realpath(join(real, name)).catch(() => undefined);
      if (target === undefined) this.#leaveOut("unreadable", inner);
      else if (!isUserFilePath(inner)) this.#leaveOut("name", inner);
      else if (!this.#isInside(target) || `${real}${sep}`.startsWith(`${target}${sep}`)) this.#leaveOut("link", inner);
      else await this.#take(inner, target, false);
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
        throw tooLarge(path, facts.size);
      }
      const data = await file.readFile();
      if (path === "settings.json") checkSettings(data);
      this.#bytes += data.length;
      const executable = (facts.mode & 0o100) !== 0;
      this.#files.set(path, create(UserFileSchema, { path, data, sizeBytes: BigInt(data.length), executable }));
    } finally {
      await file?.close();
    }
  }

  #isInside(real: string): boolean {
    return real.startsWith(`${this.#root}${sep}`);
  }

  #leaveOut(reason: string, path: string): void {
    this.#leftOut.set(reason, [...(this.#leftOut.get(reason) ?? []), path]);
  }

  #refused(path: string, why: string): AppError {
    return new AppError("USER_FILE_INVALID", `"${path}" in ${this.#shown} ${why}.`, { help: HELP });
  }

  async #missing(path: string): Promise<AppError> {
    const [first = ""] = path.split("/");
    const there = path === first ? [] : await readdir(join(this.#root, first)).catch(() => []);
    const others = there.filter((name) => !name.startsWith(".")).map((name) => `${first}/${name}`);
    const help = others.length === 0 ? HELP : `There are: ${nameSome(others)}.`;
    return new AppError("USER_FILE_INVALID", `There is no "${path}" in ${this.#shown}.`, { help });
  }
}

/** Settings count in the container as they do here: variables in them are no way around what sessions may not have. */
function checkSettings(data: Buffer): void {
  let settings: unknown;
  try {
    settings = JSON.parse(data.toString("utf8"));
  } catch (error) {
    throw new AppError("USER_FILE_INVALID", "settings.json is no JSON.", {
      help: "Mend it, or leave it out.",
      cause: error,
    });
  }
  if (typeof settings !== "object" || settings === null) return;
  const helper = HELPERS.find((name) => name in settings);
  if (helper !== undefined) throw secret("settings.json", `names a program for credentials (${helper})`);
  for (const [name, value] of Object.entries((settings as { env?: Record<string, unknown> }).env ?? {})) {
    if (/token|secret|passw|key|credential|auth/i.test(name)) throw secret("settings.json", `sets ${name}`);
    checkVariable(name, String(value));
  }
}

function secret(path: string, why: string): AppError {
  return new AppError("USER_FILE_SECRET", `"${path}" ${why}: no secret goes into a container.`, {
    help: "Leave it out, or name what is beside it.",
  });
}

function tooLarge(path: string, bytes: number): AppError {
  const { maxCount, maxBytes } = USER_FILES;
  return new AppError("USER_FILES_TOO_LARGE", `With "${path}" (${bytes} bytes) the user's own files are too many.`, {
    help: `Name fewer of them: at most ${maxCount}, and ${maxBytes} bytes.`,
  });
}
