import { createHash } from "node:crypto";
import { linkSync, lstatSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { copyFile, open, readFile, stat, utimes } from "node:fs/promises";
import { AppError, type RawPath } from "../../proto/index.ts";
import { git, type GitPlace } from "./git.ts";

/** A copy is made this much older than it is, since times are rounded: git then reads again what may have changed at the same time. */
const OLDER_NS = 1_000_000n;

/** git's own lock of an index: as long as it is held, every git of the user that would write the index says so and ends. */
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
      linkSync(beside, path);
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

  /** Makes a copy of this file the index, in one step. Undefined: there is to be none. */
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

/** Removes what a process of ours has left of a lock when it was killed; anybody else's lock stays. */
export function removeStaleLock(indexFile: string, mark: string): void {
  rmSync(besidePath(indexFile, mark), { force: true });
  const path = lockPath(indexFile);
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat?.isFile() === true && stat.size === mark.length && readFileSync(path, "utf8") === mark) unlinkSync(path);
}

function besidePath(indexFile: string, mark: string): string {
  return `${indexFile}.${mark}`;
}

function lockPath(indexFile: string): string {
  return `${indexFile}.lock`;
}

/** Copies an index with its time, by which git tells what it has to read again. */
export async function copyIndex(from: string, to: string): Promise<void> {
  const { mtimeNs } = await stat(from, { bigint: true });
  await copyFile(from, to);
  const seconds = Number(mtimeNs - OLDER_NS) / 1e9;
  await utimes(to, seconds, seconds);
}

/** Reads an index file; undefined if there is none. */
export async function readIndex(indexFile: string): Promise<Buffer | undefined> {
  return await readFile(indexFile).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
}

/** Lists all that an index holds, with git's flags. */
export async function listIndex(place: GitPlace, { signal }: { signal: AbortSignal }): Promise<Buffer> {
  return await git(place, ["ls-files", "--stage", "-v", "-z"], { signal });
}

/** Whether two index files are the same, or both not there. */
export function sameBytes(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b);
}

/** Returns the SHA-256 of some bytes in hex. */
export function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Reads what `ls-files --stage -v -z` writes: "mode id" of each file. */
export function parseStage(listing: Buffer): Map<RawPath, string> {
  const files = new Map<RawPath, string>();
  for (const line of listing.toString("latin1").split("\0")) {
    const tab = line.indexOf("\t");
    const [, mode, id] = line.slice(0, tab).split(" ");
    if (tab > 0) files.set(line.slice(tab + 1), `${mode} ${id}`);
  }
  return files;
}
