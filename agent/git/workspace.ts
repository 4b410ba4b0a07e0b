import { asAppError, type LeftWork, type RepositorySpec } from "../../proto/index.ts";
import type { Identity } from "../process/identity.ts";
import { type BaseRepository, makeBase, openBase } from "./base-repository.ts";
import type { Progress } from "./clone-progress.ts";
import type { CommitBundle } from "./commit-bundle.ts";
import { CommitWatch, type MadeCommits } from "./commit-watch.ts";
import { type Collected, collectChanges, PatchTooLargeError } from "./final-changes.ts";
import type { UrlConfig } from "./remote.ts";
import { findLeftWork } from "./left-work.ts";
import { LiveChanges, type Look, type Scan } from "./live-changes.ts";
import { restorePatch } from "./restore-patch.ts";
import type { RetryCutOptions } from "./retry-cut.ts";
import { throwIfFull } from "./room.ts";
import { checkOutSnapshot, initializeRepository, makeSessionRepository } from "./session-repository.ts";
import { together } from "./together.ts";
import { type Touched, TouchedPaths } from "./touched-paths.ts";
import { TurnTaking } from "./turn-taking.ts";
import { watchTree } from "./watch-tree.ts";
import { within } from "../wait.ts";

/** Directories of a session: three that exist, best a tmpfs each, and what it is given. */
export interface WorkspacePaths {
  /** Directory of Claude's repository. It belongs to the session's identity. */
  workTree: string;
  /** Directory of the start commit. It belongs to the base's identity, and all may read it. */
  base: string;
  /** Directory for comparing the two. It belongs to the session's identity. */
  scan: string;
  /** Directory with objects that the host has put there, only to be read. It need not be there. Default: none. */
  supply?: string;
}

/** Repository to open, directories to open it in, and users to do it as. */
export interface WorkspaceOptions extends RetryCutOptions {
  /** Repository to clone. Undefined: an empty one without a commit is made. */
  repository?: RepositorySpec | undefined;
  paths: WorkspacePaths;
  /** User that Claude runs as. */
  sessionIdentity: Identity | undefined;
  /** User that nobody else runs as. */
  baseIdentity: Identity | undefined;
  /** Proxy for http and https. Undefined: none. */
  proxyUrl: string | undefined;
  /** Configuration that replaces beginnings of URLs. Default: none. */
  urlConfig?: UrlConfig;
  /** Whether makeRepositories has been called there, and how that ended. Default: it has not. */
  made?: Promise<boolean> | undefined;
  onProgress: (progress: Progress) => void;
}

/** Empty repositories are made in a moment, or something is wrong (ms). */
const MADE_MS = 30_000;

/**
 * Makes the repositories of a workspace that will be opened, with nothing in them. Resolves with whether it could: if not, opening
 * makes them, or says why not. Never rejects.
 */
export async function makeRepositories({
  paths,
  sessionIdentity,
  baseIdentity,
  signal,
}: Pick<WorkspaceOptions, "paths" | "sessionIdentity" | "baseIdentity" | "signal">): Promise<boolean> {
  try {
    await together(signal, (signal) => [
      makeBase({ directory: paths.base, identity: baseIdentity, signal }),
      initializeRepository(paths.workTree, { identity: sessionIdentity, signal }),
    ]);
    return true;
  } catch {
    return false;
  }
}

/** Clones the repository and checks it out. Throws AppError with a REPOSITORY_…, REF_… or WORKSPACE_… reason. */
export async function openWorkspace(options: WorkspaceOptions): Promise<Workspace> {
  const { paths, sessionIdentity, onProgress, signal } = options;
  try {
    const made = options.made !== undefined && (await within(options.made, MADE_MS, signal)) && (await options.made);
    signal.throwIfAborted();
    const [base] = await together(signal, (signal) => [
      openBase({
        ...options,
        directory: paths.base,
        supply: paths.supply,
        made,
        identity: options.baseIdentity,
        signal,
      }),
      made ? Promise.resolve() : initializeRepository(paths.workTree, { identity: sessionIdentity, signal }),
    ]);
    const places = { workTree: paths.workTree, scanDirectory: paths.scan };
    await makeSessionRepository(base, places, { identity: sessionIdentity, onProgress, signal });
    await checkOutSnapshot(base, paths.workTree, { identity: sessionIdentity, signal });
    return new Workspace(base, paths, { session: sessionIdentity, base: options.baseIdentity });
  } catch (error) {
    if (asAppError(error).reason === "GIT_FAILED") await throwIfFull([{ directory: paths.base, use: "base" }], error);
    throw error;
  }
}

/** Files of a session: what it started from, and what it has changed. Scans, looks and collections wait for each other. */
export class Workspace {
  readonly workTree: string;
  /** Where Claude starts: the work tree, or a directory in it. */
  readonly cwd: string;
  /** Commit that it started from. Empty: none. */
  readonly baseCommitId: string;
  readonly #comparison: {
    base: BaseRepository;
    workTree: string;
    scanDirectory: string;
    identity: Identity | undefined;
  };
  /** Nobody's but ours, and may read the base. */
  readonly #finalIdentity: Identity | undefined;
  readonly #live: LiveChanges;
  readonly #turns = new TurnTaking();
  readonly #touched = new TouchedPaths();
  readonly #commits: CommitWatch;

  constructor(
    base: BaseRepository,
    paths: WorkspacePaths,
    { session: identity, base: finalIdentity }: { session: Identity | undefined; base: Identity | undefined },
  ) {
    this.#finalIdentity = finalIdentity;
    this.workTree = paths.workTree;
    const { subdirectory = "" } = base.checkedOut ?? {};
    this.cwd = subdirectory === "" ? paths.workTree : `${paths.workTree}/${subdirectory}`;
    this.baseCommitId = base.commitId;
    this.#comparison = { base, workTree: paths.workTree, scanDirectory: paths.scan, identity };
    this.#commits = new CommitWatch(this.#comparison);
    this.#live = new LiveChanges({ ...this.#comparison, copied: base.commitId !== "" });
  }

  /**
   * Applies the patch of an earlier session that began with the same commit. Throws PATCH_NOT_APPLIED, WORKSPACE_FULL.
   */
  async restore(patch: Buffer, { signal }: { signal: AbortSignal }): Promise<void> {
    if (patch.length === 0) return;
    try {
      await restorePatch(this.#comparison, patch, { signal });
    } finally {
      this.#touched.addUnknown();
    }
  }

  /** Returns what differs now, and what of it is new since the last scan or look. */
  scan(options: { signal: AbortSignal }): Promise<Scan> {
    return this.#turns.run(options.signal, () => this.#whileTouched(() => this.#live.scan(options)));
  }

  /** Looks at what `watch` has noted, as LiveChanges does. */
  look(options: { mayScan: boolean; signal: AbortSignal }): Promise<Look> {
    return this.#turns.run(options.signal, () =>
      this.#whileTouched((touched) => this.#live.look({ touched, ...options })),
    );
  }

  /** Returns what Claude has committed since the last call. Undefined: nothing. */
  lookForCommits(options: { signal: AbortSignal }): Promise<MadeCommits | undefined> {
    return this.#commits.look(options);
  }

  async #whileTouched<T>(work: (touched: Touched) => Promise<T>): Promise<T> {
    const touched = this.#touched.take();
    if (touched.otherwiseIgnored) this.#live.forgetIgnored();
    try {
      const done = await work(touched);
      if (!this.#touched.otherwiseIgnored) this.#touched.ignored = this.#live.ignored;
      return done;
    } catch (error) {
      // What was taken has not been looked at.
      this.#touched.addUnknown();
      throw error;
    }
  }

  /**
   * Returns the whole difference, trusting nothing that a scan has stored. `last`: nothing of the session runs any
   * more. Throws PatchTooLargeError.
   */
  async collect({ signal, last = false }: { signal: AbortSignal; last?: boolean }): Promise<Collected> {
    const options = { ...this.#comparison, finalIdentity: last ? this.#finalIdentity : undefined, signal };
    const collect = () => collectChanges(options);
    // The last one does not wait for a scan: neither changes what the other reads.
    const alone = () => !last && this.#live.stagedBytes === 0;
    try {
      const collected = await (last ? collect() : this.#turns.run(signal, collect));
      if (!collected.crowded || alone()) return collected;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof PatchTooLargeError || alone()) throw error;
    }
    return await this.#turns.run(signal, async () => {
      // The scans have stored things in the same directory, and the result comes first.
      await this.#live.release({ signal });
      return await collect();
    });
  }

  /** Returns what Claude's repository holds and the work tree does not. A bundle takes Claude's commits. */
  findLeftWork(
    { entries, checkouts, staged }: Pick<Collected, "entries" | "checkouts" | "staged">,
    options: { bundle?: CommitBundle | undefined; signal: AbortSignal },
  ): Promise<LeftWork> {
    return this.#turns.run(options.signal, () =>
      findLeftWork({ ...this.#comparison, entries, checkouts, staged, ...options }),
    );
  }

  /** Yields when something in the work tree may have changed, once for any number of changes. Ends with the signal. */
  watch(options: { signal: AbortSignal }): AsyncGenerator<void> {
    return watchTree(this.workTree, { identity: this.#comparison.identity, touched: this.#touched, ...options });
  }
}
