import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { makeDirectory } from "../make-directory.ts";
import { git, type GitPlace } from "./git.ts";
import type { LocatedRepository } from "./locate.ts";

const KEPT_INDEX = "index-";
const WORK = "work-";
/** No snapshot takes a day. */
const ABANDONED_MS = 24 * 60 * 60 * 1000;

/**
 * Store of one repository of the user's: a bare repository of ours with the objects that the user's does not have. It is a
 * cache. A `git gc` removes all objects but those that the caller makes refs for.
 */
export class RepositoryStore {
  readonly directory: string;
  readonly objectDirectory: string;
  /** Directory of kept indexes and work in progress. */
  readonly cacheDirectory: string;
  /** Object directory of the user's repository. Empty for a plain directory. */
  readonly borrowed: readonly string[];

  private constructor(directory: string, borrowed: readonly string[]) {
    this.directory = directory;
    this.objectDirectory = join(directory, "objects");
    this.cacheDirectory = join(directory, "claudecluster");
    this.borrowed = borrowed;
  }

  /** Opens the store, or makes it. Work directories that are older than a day are removed. */
  static async open(
    directory: string,
    { located, signal }: { located: Pick<LocatedRepository, "git" | "objectFormat">; signal: AbortSignal },
  ): Promise<RepositoryStore> {
    const store = new RepositoryStore(directory, located.git === undefined ? [] : [located.git.objectDirectory]);
    if (!existsSync(join(directory, "HEAD"))) await initialise(directory, located.objectFormat, { signal });
    await mkdir(store.cacheDirectory, { recursive: true, mode: 0o700 });
    await store.#removeAbandoned();
    return store;
  }

  /** Makes a work directory for one snapshot. The caller removes it. */
  async makeWorkDirectory(): Promise<string> {
    return await mkdtemp(join(this.cacheDirectory, WORK));
  }

  /** Removes what was left by somebody who was killed. */
  async #removeAbandoned(): Promise<void> {
    for (const name of await readdir(this.cacheDirectory)) {
      if (!name.startsWith(WORK)) continue;
      const directory = join(this.cacheDirectory, name);
      const facts = await stat(directory).catch(() => undefined);
      if (facts !== undefined && Date.now() - facts.mtimeMs > ABANDONED_MS) {
        await rm(directory, { recursive: true, force: true });
      }
    }
  }

  /** Place where git works in the store, and also reads the user's objects. */
  get place(): GitPlace {
    return { settings: "none", gitDirectory: this.directory, alternates: this.borrowed };
  }

  /** Moves the objects of another object directory, of the same file system, into the store. */
  async takeObjects(directory: string): Promise<void> {
    for (const part of await readdir(directory)) {
      const names = await readdir(join(directory, part));
      if (names.length > 0) await mkdir(join(this.objectDirectory, part), { recursive: true });
      // A pack is one when its .idx is there, which comes last.
      names.sort((a, b) => Number(a.endsWith(".idx")) - Number(b.endsWith(".idx")));
      for (const name of names) await rename(join(directory, part, name), join(this.objectDirectory, part, name));
    }
  }

  /** Moves the index that was kept under a stamp to a path. False: there is none, or somebody else has taken it. */
  async takeIndex(stamp: string, path: string): Promise<boolean> {
    return await rename(this.#keptIndex(stamp), path).then(
      () => true,
      () => false, // The user's own does as well.
    );
  }

  /** Moves an index into the store, under the stamp of the user's, and returns where. The one that was kept before goes. */
  async keepIndex(stamp: string, path: string): Promise<string> {
    for (const name of await readdir(this.cacheDirectory)) {
      if (name.startsWith(KEPT_INDEX)) await rm(join(this.cacheDirectory, name), { force: true });
    }
    await rename(path, this.#keptIndex(stamp));
    return this.#keptIndex(stamp);
  }

  #keptIndex(stamp: string): string {
    return join(this.cacheDirectory, KEPT_INDEX + createHash("sha256").update(stamp).digest("hex").slice(0, 32));
  }
}

/** Makes a bare repository, whole or not at all: others may make the same one at the same time. */
async function initialise(directory: string, objectFormat: string, { signal }: { signal: AbortSignal }): Promise<void> {
  makeDirectory(dirname(directory));
  const aside = await mkdtemp(`${directory}.`);
  try {
    const args = ["init", "-q", "--bare", "--template=", `--object-format=${objectFormat}`, aside];
    await git({ settings: "none" }, args, { signal });
    // What is not whole was left by somebody who was killed.
    if (existsSync(directory) && !existsSync(join(directory, "HEAD"))) await rm(directory, { recursive: true });
    await rename(aside, directory).catch((error: unknown) => {
      if (!existsSync(join(directory, "HEAD"))) throw error;
    });
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}
