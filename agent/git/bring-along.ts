import { type BaseRepository, OBJECT_FORMATS } from "./base-repository.ts";
import { type CommitBundle, HEAD_REF } from "./commit-bundle.ts";
import { type GitPlace, shell } from "./git.ts";
import type { PrivateIndex } from "./private-index.ts";
import type { RawDiffEntry } from "./raw-diff.ts";
import type { RepositoryWindow } from "./repository-window.ts";
import { commitFiles } from "./write-tree.ts";

/** Checkout that is to be brought along, besides what it has checked out. */
export interface BroughtCheckout {
  name: string;
  /** Commit that it has checked out. Empty: none. */
  head: string;
  /** Commits of its own that no other one contains. */
  newest: readonly string[];
  /** Differences of its index, where that has what its files have not, and of its files, from the commit. */
  staged: readonly RawDiffEntry[];
  files: readonly RawDiffEntry[];
}

/**
 * Bringer of what Claude's repository has of its own into a bundle. Each call returns the ref's name; empty: it is not brought
 * along, since it does not fit, cannot be read, or the signal has aborted.
 */
export class BringAlong {
  readonly #bundle: CommitBundle | undefined;
  readonly #base: BaseRepository;
  readonly #signal: AbortSignal;
  readonly #foreign: string[] = [];

  /** Without a bundle nothing is brought along. */
  constructor(bundle: CommitBundle | undefined, { base, signal }: { base: BaseRepository; signal: AbortSignal }) {
    this.#bundle = bundle;
    this.#base = base;
    this.#signal = signal;
  }

  /** Returns what a repository has that is not Claude's, and remembers it for all that follow. */
  foreignIn({ fetched }: RepositoryWindow): string[] {
    const { commitId, packedRefs } = this.#base;
    const start = packedRefs.split("\n").map((line) => line.split(" ")[0] ?? "");
    const foreign = [commitId, ...start, ...fetched].filter((id) => id !== "");
    this.#foreign.push(...foreign);
    return foreign;
  }

  /** Brings a commit along, with those that it stands on. */
  async commit(place: GitPlace, name: string, commitId: string): Promise<string> {
    return await this.#trying(async (bundle) => {
      if (commitId === "") return "";
      const { emptyTree } = OBJECT_FORMATS[this.#base.objectFormat];
      return await bundle.add(place, { name, commitId, foreign: this.#foreign, emptyTree }, { signal: this.#signal });
    });
  }

  /** Brings what is checked out along. */
  async head({ place, head }: RepositoryWindow): Promise<void> {
    await this.commit(place, HEAD_REF, head.commitId);
  }

  /** Brings the index along, as a commit on what is checked out. */
  async index({ place, gitDir, head }: RepositoryWindow, entries: readonly RawDiffEntry[]): Promise<string> {
    return await this.#trying(async () => {
      if (entries.length === 0) return "";
      const signal = this.#signal;
      const parents = head.commitId === "" ? [] : [head.commitId];
      const own = await ownObjects(place, gitDir, { signal });
      const made = { entries, parents, message: "What is only in the index", indexFile: `${gitDir}-index`, signal };
      return await this.commit(own, "index", await commitFiles(own, made));
    });
  }

  /** Brings a checkout along: its commits, and on them as further ones what is only staged, and its files. */
  async checkout(
    { place, directory }: PrivateIndex,
    { name, head, newest, staged, files }: BroughtCheckout,
  ): Promise<string> {
    return await this.#trying(async () => {
      const indexFile = `${directory}/uncommitted`;
      let parents = [head, ...newest.filter((id) => id !== head)].filter((id) => id !== "");
      const make = (entries: readonly RawDiffEntry[], message: string) =>
        commitFiles(place, { entries, parents, message, indexFile, signal: this.#signal });
      const clean = files.length === 0 && staged.length === 0 && parents.length === 1;
      if (staged.length > 0) parents = [await make(staged, "What was only in the index")];
      const commitId = clean ? parents[0]! : await make(files, "What was not committed");
      return await this.commit(place, name, commitId);
    });
  }

  async #trying(work: (bundle: CommitBundle) => Promise<string>): Promise<string> {
    try {
      return this.#bundle === undefined ? "" : await work(this.#bundle);
    } catch {
      return "";
    }
  }
}

/** Returns the place with an object directory of ours, which reads from Claude's. */
async function ownObjects(place: GitPlace, gitDir: string, options: { signal: AbortSignal }): Promise<GitPlace> {
  const directory = `${gitDir}-objects`;
  await shell(place, { name: "mkdir", text: 'mkdir -p -- "$1"' }, [directory], options);
  const { GIT_ALTERNATE_OBJECT_DIRECTORIES: alternates = "", ...variables } = place.variables ?? {};
  const borrowed = { GIT_ALTERNATE_OBJECT_DIRECTORIES: `${gitDir}/objects:${alternates}` };
  return { ...place, variables: { ...variables, GIT_OBJECT_DIRECTORY: directory, ...borrowed } };
}
