import { existsSync } from "node:fs";
import { mkdir, readdir, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { AppError, Notifier, type RepositorySnapshot } from "../../proto/index.ts";
import type { ServedSnapshot } from "../broker/git/snapshot-gateway.ts";
import { filesBelow } from "../files-below.ts";
import { findBoundary, findMissing } from "../repository/commits.ts";
import type { Snapshots } from "../session/snapshots.ts";
import { isKept, keepObjects } from "./keep-objects.ts";
import { makeServedDirectory, startUploadPack } from "./served-directory.ts";
import { commitsOf, headsOf } from "./snapshot-commits.ts";
import { SnapshotUploads } from "./snapshot-uploads.ts";
import type { FindOptions, StartSupplies, SuppliedStart } from "./start-supplies.ts";
import type { PackLimits } from "./take-pack.ts";

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
 * stay in the user's repository, which is an alternate of its store; what a session starts from is copied once it was
 * created. A snapshot whose objects are gone before that is refused with SNAPSHOT_MISSING.
 *
 * Each session is served from a git directory of its own in the store, with one ref and without objects.
 */
export class SnapshotStores implements Snapshots {
  /** Those of callers elsewhere, in stores of their own. */
  readonly uploads: SnapshotUploads;
  readonly #directory: string;
  readonly #supplies: StartSupplies | undefined;
  readonly #opened = new Notifier();

  /** `directory` need not be there. Without supplies of a runtime everything is fetched. */
  constructor(
    directory: string,
    { supplies, ...uploadLimits }: Partial<PackLimits> & { supplies?: StartSupplies | undefined } = {},
  ) {
    this.#directory = directory;
    this.#supplies = supplies;
    this.uploads = new SnapshotUploads(directory, uploadLimits);
  }

  async open(
    sessionId: string,
    snapshot: RepositorySnapshot,
    { depth, signal }: { depth: number; signal: AbortSignal },
  ): Promise<void> {
    const store = this.#store(snapshot);
    if (snapshot.store === "" || !existsSync(join(store, "objects"))) throw missing(snapshot, "no such store");
    const place = { settings: "none", gitDirectory: store } as const;
    const [lost] = await findMissing(place, commitsOf(snapshot), { signal });
    if (lost !== undefined) throw missing(snapshot, `${lost} is not there`);
    const shallow =
      (await this.uploads.boundaryOf(snapshot)) ??
      (await findBoundary(store, headsOf(snapshot), { depth, signal })).commitIds;
    await mkdir(join(store, "sessions"), { recursive: true, mode: 0o700 });
    await makeServedDirectory(this.#served(sessionId, snapshot), {
      startCommitId: snapshot.untrackedCommitId,
      shallow,
      objectDirectory: join(store, "objects"),
    });
    await touch(store);
    this.#opened.notify();
  }

  async supply(sessionId: string, snapshot: RepositorySnapshot, options: FindOptions): Promise<string | undefined> {
    return await this.#supplies?.find(this.#start(sessionId, snapshot), options);
  }

  async isLarge(sessionId: string, snapshot: RepositorySnapshot): Promise<boolean> {
    return (await this.#supplies?.isLarge(this.#start(sessionId, snapshot))) === true;
  }

  redeem(uploadId: string): RepositorySnapshot {
    return this.uploads.redeem(uploadId);
  }

  async close(sessionId: string, snapshot: RepositorySnapshot): Promise<void> {
    await rm(this.#served(sessionId, snapshot), { recursive: true, force: true });
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
      if (count === 0 && !this.uploads.isBusy(name) && nowMs - usedMs > FRESH_MS)
        unused.push({ path, usedMs, bytes: await sizeOf(path) });
    }
    let bytes = 0;
    for (const store of unused.sort((a, b) => b.usedMs - a.usedMs)) {
      bytes += store.bytes;
      if (nowMs - store.usedMs <= UNUSED_MS && bytes <= MAX_UNUSED_BYTES) continue;
      await rm(store.path, { recursive: true, force: true });
    }
    await this.#supplies?.sweep({ nowMs });
  }

  /**
   * Copies what sessions start from into the stores, where that is not done yet, so that it outlasts the user's repository.
   * The first error is thrown once all were tried.
   */
  async keep({ signal }: { signal: AbortSignal }): Promise<void> {
    const failures: unknown[] = [];
    for (const name of await namesIn(this.#directory)) {
      const store = join(this.#directory, name);
      for (const session of await namesIn(join(store, "sessions"))) {
        const served = join(store, "sessions", session);
        const objectDirectory = join(store, "objects");
        if (signal.aborted) return;
        try {
          if (!(await isKept(served))) await keepObjects({ served, objectDirectory }, { signal });
        } catch (error) {
          failures.push(error);
        }
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  /** Sweeps at once and every hour, and keeps what new sessions start from, until the signal. Errors are logged. Never rejects. */
  async sweepRegularly(
    isKnown: (sessionId: string) => boolean,
    { signal, logger }: { signal: AbortSignal; logger: Logger },
  ): Promise<void> {
    await this.uploads.removeLeftovers().catch(() => undefined);
    for (let sweptMs = -Infinity; !signal.aborted;) {
      if (performance.now() - sweptMs >= SWEEP_INTERVAL_MS) {
        sweptMs = performance.now();
        await this.sweep({ isKnown, nowMs: Date.now() }).catch((error: unknown) => {
          logger.error({ err: error }, "stores of repositories could not be swept");
        });
      }
      const opened = this.#opened.next({ signal, timeoutMs: SWEEP_INTERVAL_MS });
      await this.keep({ signal }).catch((error: unknown) => {
        logger.warn({ err: error }, "what a session starts from could not be kept");
      });
      await opened;
    }
  }

  #store({ store }: RepositorySnapshot): string {
    return join(this.#directory, store);
  }

  #start(sessionId: string, snapshot: RepositorySnapshot): SuppliedStart {
    const served = this.#served(sessionId, snapshot);
    return { store: this.#store(snapshot), served, headCommitIds: headsOf(snapshot) };
  }

  #served(sessionId: string, snapshot: RepositorySnapshot): string {
    return join(this.#store(snapshot), "sessions", sessionId);
  }
}

async function namesIn(directory: string): Promise<string[]> {
  return await readdir(directory).catch(() => []);
}

async function changedMs(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.mtimeMs ?? 0;
}

async function sizeOf(directory: string): Promise<number> {
  const files = await filesBelow(directory).catch(() => []);
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
