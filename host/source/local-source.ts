import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { existsSync, realpathSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import {
  AppError,
  type RawPath,
  type RepositorySpec,
  RepositorySnapshotSchema,
  RepositorySpecSchema,
} from "../../proto/index.ts";
import { expandHome, homeDirectory } from "../directories.ts";
import { givenPathText } from "../present/path-text.ts";
import { type LocatedRepository, locateRepository } from "../repository/locate.ts";
import { type Snapshot, takeSnapshot } from "../repository/snapshot.ts";
import { storesDirectory } from "../snapshots/snapshot-stores.ts";
import { atAddress, depthOf, NO_REPOSITORY, noRepository } from "./address-source.ts";
import { projectName } from "./project.ts";
import type { CallerPlace, FoundRepository, RepositorySource, RepositoryWish } from "./repository-source.ts";
import { sendSnapshot, type SnapshotReceiver } from "./snapshot-sender.ts";
import { readUserFiles } from "./user-files.ts";

/** As many included files are named. */
const MAX_INCLUDED = 100;
/** What a plain directory, and a repository without a commit, has checked out inside. */
const FIRST_BRANCH = "refs/heads/main";

/** What holds where a wish does not say. */
export interface WishDefaults {
  /** Whether ignored files that match .worktreeinclude go in. Default: they do not. */
  worktreeInclude?: boolean | undefined;
  /** Files of the user's own set-up that go in. Default: none. */
  userFiles?: readonly string[] | undefined;
}

/** Options of a local source. */
export interface LocalSourceOptions {
  /** State directory of this program. A host on this machine has the same. */
  stateDirectory: string;
  /** Returns what the user has set for wishes that do not say. Default: nothing. */
  defaults?: (() => Promise<WishDefaults>) | undefined;
  /** Claude Code's configuration directory of the user. Default: .claude in the home directory. */
  claudeDirectory?: string | undefined;
  /** Home directory of the user. */
  home?: string | undefined;
  /** Host elsewhere that snapshots are sent to. Default: the host has this program's state directory. */
  receiver?: SnapshotReceiver | undefined;
}

/**
 * Source for callers whose machine has the directory: it goes in as it lies there, by a snapshot. Its objects are written into
 * the store of that repository. The repository's own objects are an alternate of the store and are not copied. A host
 * elsewhere is sent what it lacks of both.
 */
export class LocalSource implements RepositorySource {
  readonly #options: LocalSourceOptions;
  readonly #stores: string;
  readonly #home: string;

  constructor(options: LocalSourceOptions) {
    this.#options = options;
    this.#stores = storesDirectory(options.stateDirectory);
    this.#home = options.home ?? homeDirectory(process.env);
  }

  async find(wish: RepositoryWish, caller: CallerPlace): Promise<FoundRepository> {
    const { userFiles = wish.continues ? undefined : (await this.#options.defaults?.())?.userFiles } = wish;
    if (userFiles === undefined) return await this.#find(wish, caller);
    const directory = this.#options.claudeDirectory ?? join(this.#home, ".claude");
    const read = await readUserFiles(userFiles, { directory });
    return { ...(await this.#find(wish, caller)), userFiles: read };
  }

  async #find(wish: RepositoryWish, caller: CallerPlace): Promise<FoundRepository> {
    const { repository } = wish;
    if (repository === NO_REPOSITORY) return { spec: noRepository(wish) };
    if (repository === undefined) return await this.#findAround(wish, caller);
    const path = await localPath(
      expandHome(repository, () => this.#home),
      caller,
    );
    if (path === undefined) return { spec: atAddress(repository, wish) };
    return { spec: await this.#snapshot(path, wish, caller) };
  }

  async #findAround(wish: RepositoryWish, caller: CallerPlace): Promise<FoundRepository> {
    if (wish.continues) return { spec: noRepository(wish) };
    const directory = await caller.directory();
    const around = await locateRepository(directory, caller).catch((error: unknown) => {
      if (error instanceof AppError && error.reason === "GIT_NOT_FOUND") return undefined;
      throw error;
    });
    if (around === undefined) return nothing(wish, "There is no git on this machine");
    if (around.kind !== "repository")
      return nothing(wish, `${directory} is in no repository, and goes in only if it is named`);
    // Somebody's whole home is a repository by intent, and seldom what a task is about.
    const { root } = around;
    if (root === "/" || root === real(this.#home)) return nothing(wish, `The repository here is all of ${root}`);
    return { spec: await this.#snapshot(directory, wish, { ...caller, around }) };
  }

  async #snapshot(
    path: string,
    wish: RepositoryWish,
    { signal, onSent, around }: Pick<CallerPlace, "signal" | "onSent"> & { around?: LocatedRepository },
  ): Promise<RepositorySpec> {
    if (wish.ref !== undefined) {
      throw new AppError(
        "REF_OF_DIRECTORY",
        `${givenPathText(path)} goes in as it lies there, and not as it is at '${wish.ref}'.`,
        {
          help: "Leave the ref out and check out what is to go in, or name the repository by an https URI.",
        },
      );
    }
    const depth = depthOf(wish.history);
    const located = around ?? (await locateRepository(path, { signal }));
    const store = projectName(located);
    const storeDirectory = join(this.#stores, store);
    const { include = [], worktreeInclude = (await this.#options.defaults?.())?.worktreeInclude ?? false } = wish;
    const snapshot = await takeSnapshot({ path, located, include, worktreeInclude, storeDirectory, signal });
    await linkStore(storeDirectory, snapshot);
    const spec = create(RepositorySpecSchema, { depth, snapshot: toSpec(snapshot, store) });
    const { receiver, stateDirectory } = this.#options;
    if (receiver === undefined) return spec;
    const sent = { gitDirectory: storeDirectory, depth: depth || 1, stateDirectory, onProgress: onSent, signal };
    spec.snapshot = await sendSnapshot(receiver, { ...sent, snapshot: spec.snapshot! });
    return spec;
  }
}

/**
 * Has the store find what is committed where it is, as deep as it is there, in the repository and its submodules. What other
 * sessions need of other submodules stays.
 */
async function linkStore(storeDirectory: string, { objectDirectories }: Snapshot): Promise<void> {
  const file = join(storeDirectory, "objects/info/alternates");
  const before = (await readFile(file, "utf8").catch(() => "")).split("\n").filter((path) => path !== "");
  const others = [...new Set([...objectDirectories.slice(1), ...before])].filter((path) => existsSync(path));
  await writeFile(file, others.map((path) => `${path}\n`).join(""));
  const shallow = await Promise.all(others.map((path) => readFile(join(path, "../shallow"), "utf8").catch(() => "")));
  await writeFile(join(storeDirectory, "shallow"), [...new Set(shallow.join("").match(/.+\n/g))].join(""));
}

function toSpec(snapshot: Snapshot, store: string) {
  const { root, subdirectory, head, branch, index, tracked, untracked, receipt } = snapshot;
  const first = head === undefined ? FIRST_BRANCH : "";
  return create(RepositorySnapshotSchema, {
    store,
    branch: branch ?? first,
    headCommitId: head ?? "",
    indexCommitId: index,
    trackedCommitId: tracked,
    untrackedCommitId: untracked,
    subdirectory,
    intentToAddPaths: snapshot.intentToAdd.map(bytesOf),
    largePaths: snapshot.large.map(bytesOf),
    submodules: snapshot.submodules.map(({ path, head, branch = "", index, intentToAdd, large }) => ({
      path,
      branch,
      headCommitId: head,
      indexCommitId: index,
      intentToAddPaths: intentToAdd.map(bytesOf),
      largePaths: large.map(bytesOf),
    })),
    receipt: {
      directory: root,
      stagedCount: receipt.staged,
      changedCount: receipt.changed,
      untrackedCount: receipt.untracked,
      sizeBytes: BigInt(receipt.bytes),
      leftOut: receipt.leftOut.map(({ kind, count, paths }) => ({ reason: kind, count, paths })),
      includedPaths: receipt.included.slice(0, MAX_INCLUDED),
      changedPaths: receipt.changedWhileRead,
      submodulePaths: receipt.submodules,
      largeCount: receipt.large,
    },
  });
}

function bytesOf(path: RawPath): Buffer {
  return Buffer.from(path, "latin1");
}

/** The directory that is meant, without a "~"; undefined where an address is. */
async function localPath(given: string, { directory }: CallerPlace): Promise<string | undefined> {
  if (given.startsWith("file://")) return fileURLToPath(given);
  if (/^\.{0,2}(?:\/|$)/.test(given)) return resolve(await directory(), given);
  if (given.includes(":")) return undefined;
  const path = resolve(await directory(), given);
  return existsSync(path) ? path : undefined;
}

function nothing(wish: RepositoryWish, why: string): FoundRepository {
  return { spec: noRepository(wish), note: `${why}: the workspace starts empty.` };
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
