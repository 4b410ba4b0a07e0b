import { existsSync } from "node:fs";
import { copyFile, cp, mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AppError } from "../../proto/index.ts";
import { git, type GitPlace, tryGit } from "./git.ts";
import { LFS_OFF } from "./large-files.ts";
import { copyIndex } from "./index-file.ts";
import type { LocatedRepository } from "./locate.ts";
import { expandSparseIndex } from "./sparse-index.ts";
import type { RepositoryStore } from "./repository-store.ts";

/** How often the index is copied anew because it was replaced meanwhile. */
const COPY_ATTEMPTS = 5;
/** What belongs to one work tree and not to the repository, beside HEAD and the index. */
const SPARSE = "info/sparse-checkout";
const OWN_FILES = ["config.worktree", SPARSE];

const SETTINGS = "^(core\\.(autocrlf|eol|excludesfile|attributesfile)|filter\\..*)$";
const CONFIG = {
  // It would be written with trees again.
  "index.sparse": "false",
  "core.untrackedCache": "keep",
  ...LFS_OFF,
};

/**
 * Private git directory for the user's work tree, as a linked work tree has one. HEAD and the index are copies; the rest
 * is the user's and is only read. Objects that git writes go to the store. Whoever creates it disposes of it.
 */
export class PrivateIndex implements AsyncDisposable {
  readonly directory: string;
  /** Place where git reads all objects, and notes in the copied index which files are unchanged. */
  readonly place: GitPlace & { indexFile: string };
  readonly #store: RepositoryStore;
  #stamp = "";

  private constructor(
    located: LocatedRepository,
    store: RepositoryStore,
    { directory, settings }: { directory: string; settings: Record<string, string> },
  ) {
    this.directory = directory;
    this.#store = store;
    this.place = {
      settings: "user",
      cwd: located.root,
      gitDirectory: directory,
      commonDirectory: located.git?.commonDirectory ?? store.directory,
      workTree: located.root,
      indexFile: join(directory, "index"),
      objectDirectory: store.objectDirectory,
      alternates: store.borrowed,
      optionalLocks: true,
      config: { ...settings, ...CONFIG },
    };
  }

  /**
   * Copies HEAD and the index as the work tree has them now. `head` is what HEAD is to say: a commit's id, or the full name
   * of a branch without commits. Throws REPOSITORY_BUSY if the index is written all the time.
   */
  static async create(
    located: LocatedRepository,
    store: RepositoryStore,
    { head, signal }: { head: string; signal: AbortSignal },
  ): Promise<PrivateIndex> {
    const settings = await readSettings(located, { signal });
    const directory = await store.makeWorkDirectory();
    const index = new PrivateIndex(located, store, { directory, settings });
    try {
      await writeFile(join(directory, "HEAD"), `${head.startsWith("refs/") ? `ref: ${head}` : head}\n`);
      if (located.git !== undefined) await index.#copyFrom(located.git.directory, { signal });
      if (existsSync(join(directory, SPARSE)) && index.#stamp !== "") {
        await expandSparseIndex(index.place, join(directory, "sparse-objects"), { signal });
      }
      return index;
    } catch (error) {
      await index[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #copyFrom(gitDirectory: string, { signal }: { signal: AbortSignal }): Promise<void> {
    await mkdir(join(this.directory, "info"));
    for (const name of OWN_FILES) await unlessMissing(copyFile(join(gitDirectory, name), join(this.directory, name)));
    const source = join(gitDirectory, "index");
    for (let attempt = 1; attempt <= COPY_ATTEMPTS; attempt++) {
      this.#stamp = await stampOf(source);
      if (this.#stamp === "") return; // Nothing was ever added.
      if (await this.#store.takeIndex(this.#stamp, join(this.directory, "index"))) return;
      const shared = (await readdir(gitDirectory)).filter((name) => name.startsWith("sharedindex."));
      for (const name of shared) await cp(join(gitDirectory, name), join(this.directory, name));
      await copyIndex(source, join(this.directory, "index"));
      if ((await stampOf(source)) !== this.#stamp) continue;
      // It is to be whole wherever it is kept.
      if (shared.length > 0) await git(this.place, ["update-index", "--force-write-index"], { signal });
      return;
    }
    throw new AppError("REPOSITORY_BUSY", `The index of ${gitDirectory} is written all the time.`, {
      help: "Try again when whatever works in this repository is done.",
      retryable: true,
    });
  }

  /** Copies the index as it is now, and returns where git works on the copy. */
  async copy(name: string): Promise<GitPlace> {
    const indexFile = join(this.directory, name);
    await unlessMissing(copyIndex(join(this.directory, "index"), indexFile));
    return { ...this.place, indexFile, optionalLocks: false };
  }

  /**
   * Keeps the index for the next snapshot, with what it says of unchanged files, and returns where. Undefined: there is none.
   * The private one has none then.
   */
  async keep(): Promise<string | undefined> {
    if (this.#stamp === "") return undefined;
    return await this.#store.keepIndex(this.#stamp, join(this.directory, "index"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** Reads the settings that say how files are taken. Some may hold for the user's git directory alone, by where it is. */
async function readSettings(
  { git: found, root }: LocatedRepository,
  { signal }: { signal: AbortSignal },
): Promise<Record<string, string>> {
  if (found === undefined) return {};
  const place: GitPlace = { settings: "user", gitDirectory: found.directory, workTree: root };
  const { stdout } = await tryGit(place, ["config", "-z", "--get-regexp", SETTINGS], { signal });
  const lines = stdout.toString().split("\0").slice(0, -1);
  // A key without a value is true.
  return Object.fromEntries(
    lines.map((line) => line.split(/\n(.*)/s, 2)).map(([key = "", value = "true"]) => [key, value]),
  );
}

async function stampOf(path: string): Promise<string> {
  const facts = await unlessMissing(stat(path, { bigint: true }));
  return facts === undefined ? "" : [facts.dev, facts.ino, facts.size, facts.mtimeNs, facts.ctimeNs].join(":");
}

async function unlessMissing<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
