import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { AppError, type RepositorySnapshot } from "../../proto/index.ts";
import type { ServedSnapshot } from "../broker/git/snapshot-gateway.ts";
import { git } from "../repository/git.ts";
import type { Snapshots } from "../session/snapshots.ts";
import { makeServedDirectory, startUploadPack } from "./served-directory.ts";

/** A store that no session needs is kept so long: the next session of that repository finds what it holds (ms). */
const UNUSED_MS = 7 * 24 * 60 * 60_000;
/** What a front has just made belongs to a session that is about to be created (ms). */
const FRESH_MS = 60 * 60_000;
const SWEEP_INTERVAL_MS = 60 * 60_000;
/** Most that stores which no session needs may hold together. */
const MAX_UNUSED_BYTES = 1024 ** 3;

/** Returns the directory of the stores, below the host's state directory. */
export function storesDirectory(stateDirectory: string): string {
  return join(stateDirectory, "repositories");
}

/**
 * Stores of the host for local repositories: one for each, with the objects that its snapshots added. Committed objects
 * stay in the user's repository, which is an alternate of its store. So a snapshot lasts as long as its commit is kept
 * there. One whose objects are gone is refused with SNAPSHOT_MISSING.
 *
 * Each session is served from a git directory of its own in the store, with one ref and without objects.
 */
export class SnapshotStores implements Snapshots {
  readonly #directory: string;

  /** `directory` need not be there. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  async open(
    sessionId: string,
    snapshot: RepositorySnapshot,
    { depth, signal }: { depth: number; signal: AbortSignal },
  ): Promise<void> {
    const store = this.#store(snapshot);
    if (snapshot.store === "" || !existsSync(join(store, "objects"))) throw missing(snapshot, "no such store");
    const { headCommitId, indexCommitId, trackedCommitId, untrackedCommitId: startCommitId, submodules } = snapshot;
    const heads = [headCommitId, ...submodules.map((submodule) => submodule.headCommitId)].filter((id) => id !== "");
    const indexes = submodules.map((submodule) => submodule.indexCommitId);
    const ids = [startCommitId, trackedCommitId, indexCommitId, ...indexes, ...heads];
    const input = ids.map((id) => `${id}^{tree}\n`).join("");
    const place = { settings: "none", gitDirectory: store } as const;
    const answers = (await git(place, ["cat-file", "--batch-check"], { input, signal })).toString().split("\n");
    const lost = ids.find((_, at) => !/^[0-9a-f]+ tree /.test(answers[at] ?? ""));
    if (lost !== undefined) throw missing(snapshot, `${lost} is not there`);
    const shallow = heads.length === 0 ? [] : await findBoundary(store, heads, { depth, signal });
    await mkdir(join(store, "sessions"), { recursive: true, mode: 0o700 });
    await makeServedDirectory(this.#served(sessionId, snapshot), {
      startCommitId,
      shallow,
      objectDirectory: join(store, "objects"),
    });
    await touch(store);
  }

  serve(sessionId: string, snapshot: RepositorySnapshot): ServedSnapshot {
    const directory = this.#served(sessionId, snapshot);
    return {
      commitIds: [snapshot.untrackedCommitId],
      uploadPack: (options) => startUploadPack(directory, options),
    };
  }

  /**
   * Removes the served directories of unknown sessions, and stores that no session needs: those that were not used for a
   * week, and the oldest if all together have more than 1 GiB. What is younger than an hour stays.
   */
  async sweep({ isKnown, nowMs }: { isKnown: (sessionId: string) => boolean; nowMs: number }): Promise<void> {
    const unused: { path: string; usedMs: number; bytes: number }[] = [];
    for (const name of await namesIn(this.#directory)) {
      const path = join(this.#directory, name);
      let count = 0;
      for (const session of await namesIn(join(path, "sessions"))) {
        const at = join(path, "sessions", session);
        if (isKnown(session) || nowMs - (await changedMs(at)) < FRESH_MS) count++;
        else await rm(at, { recursive: true, force: true });
      }
      const usedMs = await changedMs(path);
      if (count === 0 && nowMs - usedMs > FRESH_MS) unused.push({ path, usedMs, bytes: await sizeOf(path) });
    }
    let bytes = 0;
    for (const store of unused.sort((a, b) => b.usedMs - a.usedMs)) {
      bytes += store.bytes;
      if (nowMs - store.usedMs <= UNUSED_MS && bytes <= MAX_UNUSED_BYTES) continue;
      await rm(store.path, { recursive: true, force: true });
    }
  }

  /** Sweeps at once and every hour, until the signal. Errors are logged. Never rejects. */
  async sweepRegularly(
    isKnown: (sessionId: string) => boolean,
    { signal, logger }: { signal: AbortSignal; logger: Logger },
  ): Promise<void> {
    while (!signal.aborted) {
      await this.sweep({ isKnown, nowMs: Date.now() }).catch((error: unknown) => {
        logger.error({ err: error }, "stores of repositories could not be swept");
      });
      await delay(SWEEP_INTERVAL_MS, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  #store({ store }: RepositorySnapshot): string {
    return join(this.#directory, store);
  }

  #served(sessionId: string, snapshot: RepositorySnapshot): string {
    return join(this.#store(snapshot), "sessions", sessionId);
  }
}

/**
 * Returns the commits whose parents a session is not to have: those `depth` commits from the ones that are checked out, and
 * those that the repository itself has no parents of.
 */
async function findBoundary(
  store: string,
  heads: readonly string[],
  { depth, signal }: { depth: number; signal: AbortSignal },
): Promise<string[]> {
  const own = (await readFile(join(store, "shallow"), "utf8").catch(() => "")).split("\n").filter((id) => id !== "");
  if (depth < 0) return own;
  const place = { settings: "none", gitDirectory: store } as const;
  const seen = new Set(heads);
  let level = [...seen];
  for (let at = 1; at < depth && level.length > 0; at++) {
    const input = level.map((id) => `${id}\n`).join("");
    const lines = (await git(place, ["rev-list", "--no-walk", "--parents", "--stdin"], { input, signal })).toString();
    const parents = lines.split("\n").flatMap((line) => line.split(" ").slice(1));
    level = [...new Set(parents)].filter((id) => !seen.has(id));
    for (const id of level) seen.add(id);
  }
  return [...new Set([...level, ...own.filter((id) => seen.has(id))])];
}

async function namesIn(directory: string): Promise<string[]> {
  return await readdir(directory).catch(() => []);
}

async function changedMs(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.mtimeMs ?? 0;
}

async function sizeOf(directory: string): Promise<number> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const sizes = await Promise.all(files.map(async (file) => (await stat(file).catch(() => undefined))?.size ?? 0));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now);
}

function missing({ receipt, store }: RepositorySnapshot, why: string): AppError {
  const where = receipt?.directory ?? "the repository";
  return new AppError("SNAPSHOT_MISSING", `The host does not have what is to be sent of ${where}: ${why}.`, {
    help: "Start a session with the repository as it is now; what it had once may have been removed by git gc.",
    metadata: { store },
  });
}
