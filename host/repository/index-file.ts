import { createHash } from "node:crypto";
import { linkSync, lstatSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { copyFile, open, readFile, stat, utimes } from "node:fs/promises";
import { AppError, type RawPath } from "../../proto/index.ts";
import { git, type GitPlace } from "./git.ts";

/** A copy is made this much older than it is, since times are rounded: git then reads again what may have changed at the same time. */
const OLDER_NS = 1_000_000n;

/**
 * Lock of an index, git's own index.lock: while it is held, a git of the user that would write the index fails. Whoever
 * takes it disposes of it.
 */
export class IndexLock implements Disposable {
  readonly #indexFile: string;
  readonly #mark: string;
  #held = true;

  private constructor(indexFile: string, mark: string) {
    this.#indexFile = indexFile;
    this.#mark = mark;
  }

  /** Takes the lock; the mark in it says that it is ours. Throws INDEX_LOCKED. */
  static take(indexFile: string, mark: string): IndexLock {
    const path = lockPath(indexFile);
    const beside = besidePath(indexFile, mark);
    try {
      // With its mark in it from the first moment.
      writeFileSync(beside, mark, { flag: "wx" });
      linkOrWrite(beside, path, mark);
      return new IndexLock(indexFile, mark);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
      throw new AppError("INDEX_LOCKED", `Another git works on this repository: ${path} is there.`, {
        retryable: true,
        help: "Try again when it is done; where none runs any more, remove that file.",
        metadata: { path },
        cause,
      });
    } finally {
      rmSync(beside, { force: true });
    }
  }

  /** Replaces the index by a copy of a file, in one step. Undefined: the index is removed. */
  async replaceIndex(source: string | undefined): Promise<void> {
    if (source === undefined) return unlinkSync(this.#indexFile);
    // Not in the lock itself: what a killed process leaves of that is to be known as ours.
    const beside = besidePath(this.#indexFile, this.#mark);
    await copyIndex(source, beside);
    await using file = await open(beside, "r");
    await file.sync();
    renameSync(beside, this.#indexFile);
  }

  [Symbol.dispose](): void {
    if (!this.#held) return;
    this.#held = false;
    // It may have been removed, and be another's by now.
    removeStaleLock(this.#indexFile, this.#mark);
  }
}

/** Removes the lock that a killed process of ours has left, known by its mark. Anybody else's lock stays. */
export function removeStaleLock(indexFile: string, mark: string): void {
  rmSync(besidePath(indexFile, mark), { force: true });
  const path = lockPath(indexFile);
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat?.isFile() === true && stat.size === mark.length && readFileSync(path, "utf8") === mark) unlinkSync(path);
}

/** Takes the lock's name. Where there are no hard links a kill between two calls leaves a lock that nobody knows as ours. */
function linkOrWrite(beside: string, path: string, mark: string): void {
  try {
    linkSync(beside, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw error;
    writeFileSync(path, mark, { flag: "wx" });
  }
}

function besidePath(indexFile: string, mark: string): string {
  return `${indexFile}.${mark}`;
}

function lockPath(indexFile: string): string {
  return `${indexFile}.lock`;
}

/** Copies an index with its time less 1 ms: git reads again the files that are newer than that. */
export async function copyIndex(from: string, to: string): Promise<void> {
  const { mtimeNs } = await stat(from, { bigint: true });
  await copyFile(from, to);
  const seconds = Number(mtimeNs - OLDER_NS) / 1e9;
  await utimes(to, seconds, seconds);
}

/** Reads an index file. Undefined: there is none. */
export async function readIndex(indexFile: string): Promise<Buffer | undefined> {
  return await readFile(indexFile).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
}

/** Lists all entries of an index, as `git ls-files --stage -v -z` writes them. */
export async function listIndex(place: GitPlace, { signal }: { signal: AbortSignal }): Promise<Buffer> {
  return await git(place, ["ls-files", "--stage", "-v", "-z"], { signal });
}

/** Returns whether two index files have the same bytes, or are both not there. */
export function sameBytes(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b);
}

/** Returns the SHA-256 of some bytes in hex. */
export function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Parses the output of `listIndex`: "mode id" by path. */
export function parseStage(listing: Buffer): Map<RawPath, string> {
  const entries = Array.from(parseListing(listing), ([path, entry]) => [path, entry.split(" ").slice(1, 3)] as const);
  return new Map(entries.map(([path, modeAndId]) => [path, modeAndId.join(" ")]));
}

/** Parses the output of `listIndex`: "letter mode id stage" by path. The letter says how git looks at the file. */
export function parseListing(listing: Buffer): Map<RawPath, string> {
  const files = new Map<RawPath, string>();
  for (const line of listing.toString("latin1").split("\0")) {
    const tab = line.indexOf("\t");
    if (tab > 0) files.set(line.slice(tab + 1), line.slice(0, tab));
  }
  return files;
}
