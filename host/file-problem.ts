import { existsSync, lstatSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AppError, asAppError } from "../proto/index.ts";

/** Problem of a file or directory that cannot be used. */
export interface FileProblem {
  /** Reason, as the end of a sentence that names the path. */
  why: string;
  /** Remedy, as the beginning of a sentence. */
  cure: string;
}

const OWN = "Make it this user's";
const ROOM = "Free some space there";
const ASIDE = "Move away what is in the way";
const PROBLEMS: Readonly<Record<string, [why: string, cure: string]>> = {
  EACCES: ["this user may not", OWN],
  EPERM: ["this user may not", OWN],
  EROFS: ["its file system is read-only", "Make the file system writable"],
  ENOSPC: ["the disk is full", ROOM],
  EDQUOT: ["this user has used up what the disk allows", ROOM],
  ENOENT: ["a directory on the way is missing", "Make that directory"],
  ENOTDIR: ["something on the way is not a directory", ASIDE],
  EISDIR: ["it is a directory", ASIDE],
  ERR_FS_EISDIR: ["it is a directory", ASIDE],
  EEXIST: ["something else is there", ASIDE],
  ENOTEMPTY: ["it is a directory with something in it", ASIDE],
  ELOOP: ["its links lead in a circle", "Make that directory, remove the link"],
  ENAMETOOLONG: ["its name is too long", "Take a shorter one"],
  ENXIO: ["it is a socket or a pipe", ASIDE],
  EBUSY: ["something else uses it", "End that"],
  EMFILE: ["this process has too many files open", "Raise the limit of open files"],
  ENFILE: ["the machine has too many files open", "Close some programs"],
  EIO: ["the disk has failed", "Look at the disk"],
};
/** The same by SQLite's codes (https://sqlite.org/rescode.html). */
const SQLITE_PROBLEMS: Readonly<Record<number, string>> = { 3: "EACCES", 8: "EACCES", 10: "EIO", 13: "ENOSPC" };

/** Returns the problem by which the system, or SQLite, refused a file or directory. Undefined: the error is no refusal. */
export function fileProblem(error: unknown): FileProblem | undefined {
  const { code, errcode = 0 } = (error ?? {}) as { code?: unknown; errcode?: number };
  const known = SQLITE_PROBLEMS[errcode & 0xff] ?? code;
  if (typeof known !== "string" || !Object.hasOwn(PROBLEMS, known)) return undefined;
  const [why, cure] = PROBLEMS[known]!;
  return { why, cure };
}

/** Returns the problem with a path that could not be made, for any error. It tells a link to nothing from a missing directory. */
export function makeProblem(path: string, error: unknown): FileProblem {
  const known = fileProblem(error);
  if ((error as NodeJS.ErrnoException).code !== "ELOOP" && isLink(path)) {
    return { why: "it is a link to something that is not there", cure: "Make that, remove the link" };
  }
  return known ?? { why: error instanceof Error ? error.message : String(error), cure: "Look at its directory" };
}

/** Writes a file in a directory and removes it again. Throws the system's error. */
export function tryToWriteIn(directory: string): void {
  const path = join(directory, `probe.${process.pid}`);
  try {
    writeFileSync(path, "x", { mode: 0o600 });
  } finally {
    if (existsSync(path)) rmSync(path);
  }
}

/** Returns whether a path is a symbolic link, wherever it leads. */
export function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}

/** Returns the reason why a file could not be read, as the end of a sentence, for any error. ENOENT means the file itself. */
export function readProblem(error: unknown): string {
  if ((error as NodeJS.ErrnoException).code === "ENOENT") return "there is no such file";
  return fileProblem(error)?.why ?? (error instanceof Error ? error.message : String(error));
}

/**
 * Returns an error as an AppError. An unforeseen refusal of a file by the system becomes FILE_UNUSABLE, with its path and
 * the reason in words.
 */
export function asExplainedError(error: unknown): AppError {
  const problem = error instanceof AppError ? undefined : fileProblem(error);
  const { path } = (error ?? {}) as NodeJS.ErrnoException;
  if (problem === undefined || path === undefined) return asAppError(error);
  return new AppError("FILE_UNUSABLE", `${path} cannot be used: ${problem.why}.`, {
    help: "`claudecluster doctor` says which directories are used, and how to have others.",
    metadata: { path },
    cause: error,
  });
}
