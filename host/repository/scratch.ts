import { appendFile, copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { git, type GitPlace } from "./git.ts";

/** What git takes from names of other file systems, on every one of them. */
const CONFIG = { "core.protectHFS": "true", "core.protectNTFS": "true" };

/**
 * A repository of ours for as long as something is worked out: what is made in it goes with it, and it reads the objects of
 * others. Nothing is ever checked out in it.
 */
export class Scratch implements AsyncDisposable {
  readonly directory: string;
  readonly gitDirectory: string;

  private constructor(directory: string) {
    this.directory = directory;
    this.gitDirectory = join(directory, "scratch.git");
  }

  /** Makes one among the temporary files, which reads from object directories and knows where a history is cut. */
  static async create(options: {
    objectFormat: string;
    borrowed: readonly string[];
    /** A file that names the commits whose parents are not there. */
    shallowFile?: string | undefined;
    signal: AbortSignal;
  }): Promise<Scratch> {
    const { objectFormat, borrowed, shallowFile, signal } = options;
    const scratch = new Scratch(await mkdtemp(join(tmpdir(), "claudecluster-scratch-")));
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

  /** Has it read from more object directories. */
  async borrow(directories: readonly string[]): Promise<void> {
    const lines = directories.map((path) => `"${path.replace(/["\\]/g, "\\$&").replaceAll("\n", "\\n")}"\n`);
    await appendFile(join(this.gitDirectory, "objects/info/alternates"), lines.join(""));
  }

  /** Where git works on trees alone. With a name it has an index of its own, which begins empty. */
  place(index?: string): GitPlace {
    return {
      settings: "none",
      gitDirectory: this.gitDirectory,
      config: CONFIG,
      ...(index !== undefined && { indexFile: join(this.directory, `${index}.index`) }),
    };
  }

  /** Where a git of another repository is to write its new objects to, and finds those that are borrowed. */
  get objectDirectory(): string {
    return join(this.gitDirectory, "objects");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }
}
