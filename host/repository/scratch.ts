import { lstatSync } from "node:fs";
import { appendFile, copyFile, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ExclusiveLock } from "../exclusive-lock.ts";
import { git, type GitPlace } from "./git.ts";

const PREFIX = "claudecluster-scratch-";
const LOCK = "lock";
/** A scratch repository that is being made is locked by then (ms). */
const LOCKED_AFTER_MS = 60_000;

/** What git takes from names of other file systems, on every one of them. */
const CONFIG = { "core.protectHFS": "true", "core.protectNTFS": "true" };

/**
 * Scratch repository for one piece of work, with nothing checked out. It reads the objects of others; its own go with it.
 * Whoever creates it disposes of it.
 */
export class Scratch implements AsyncDisposable {
  readonly directory: string;
  readonly gitDirectory: string;
  /** Says that it is in use, as long as this process lives. */
  readonly #lock: ExclusiveLock | undefined;

  private constructor(directory: string, lock: ExclusiveLock | undefined) {
    this.directory = directory;
    this.#lock = lock;
    this.gitDirectory = join(directory, "scratch.git");
  }

  /** Makes a scratch repository among the temporary files. Those that killed processes have left there are removed. */
  static async create(options: {
    objectFormat: string;
    /** Object directories that it reads from. */
    borrowed: readonly string[];
    /** File that names the commits whose parents are not there. Default: the history is whole. */
    shallowFile?: string | undefined;
    signal: AbortSignal;
  }): Promise<Scratch> {
    const { objectFormat, borrowed, shallowFile, signal } = options;
    await removeAbandoned(tmpdir());
    const directory = await mkdtemp(join(tmpdir(), PREFIX));
    const scratch = new Scratch(directory, ExclusiveLock.take(join(directory, LOCK)));
    const { gitDirectory } = scratch;
    try {
      const args = ["init", "-q", "--bare", "--template=", `--object-format=${objectFormat}`, gitDirectory];
      await git({ settings: "none" }, args, { signal });
      await scratch.borrow(borrowed);
      if (shallowFile !== undefined) await copyFile(shallowFile, join(gitDirectory, "shallow"));
      return scratch;
    } catch (error) {
      await scratch[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Adds object directories that it reads from. */
  async borrow(directories: readonly string[]): Promise<void> {
    const lines = directories.map((path) => `"${path.replace(/["\\]/g, "\\$&").replaceAll("\n", "\\n")}"\n`);
    await appendFile(join(this.gitDirectory, "objects/info/alternates"), lines.join(""));
  }

  /** Returns a place where git works without a work tree. With a name it has an index of that name, empty at first. */
  place(index?: string): GitPlace {
    return {
      settings: "none",
      gitDirectory: this.gitDirectory,
      config: CONFIG,
      ...(index !== undefined && { indexFile: join(this.directory, `${index}.index`) }),
    };
  }

  /** Object directory, for a git of another repository that is to write here and read what is borrowed. */
  get objectDirectory(): string {
    return join(this.gitDirectory, "objects");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
    this.#lock?.[Symbol.dispose]();
  }
}

async function removeAbandoned(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(PREFIX)) continue;
    const directory = join(parent, name);
    const facts = lstatSync(directory, { throwIfNoEntry: false });
    if (facts?.isDirectory() !== true || facts.uid !== process.getuid?.()) continue;
    if (Date.now() - facts.mtimeMs < LOCKED_AFTER_MS) continue;
    try {
      using lock = ExclusiveLock.take(join(directory, LOCK));
      if (lock !== undefined) await rm(directory, { recursive: true, force: true });
    } catch {
      // What cannot be removed is in nobody's way.
    }
  }
}
