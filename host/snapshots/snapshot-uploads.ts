import { createHash, randomUUID } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { clone, create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  AppError,
  completeSnapshot,
  Notifier,
  type RepositorySnapshot,
  RepositorySnapshotSchema,
  RepositorySpecSchema,
} from "../../proto/index.ts";
import type { UploadSnapshotResponseSchema, UploadStart } from "../../proto/control.ts";
import { RepositoryStore } from "../repository/repository-store.ts";
import { AsyncQueue } from "../rpc/async-queue.ts";
import { commitsOf } from "./snapshot-commits.ts";
import { PACK_LIMITS, type PackLimits, takePack } from "./take-pack.ts";

/** Begin of the names of stores that hold what was uploaded. No front of this machine gives such a name. */
const PREFIX = "u";
/** Directory in a store with a file for each snapshot, which names its boundary. */
const UPLOADED = "uploaded";
const INCOMING = "incoming-";
/** git works on so many at once; others wait. */
const MAX_RUNNING = 2;
const MAX_TIME_MS = 60 * 60_000;
const MAX_HAVES = 32;
/** A session is created at once. */
const TICKET_MS = 60 * 60_000;
const MAX_TICKETS = 64;
const MAX_BOUNDARY = 10_000;
/** Progress is told after so many bytes. */
const STEP_BYTES = 4 * 1024 * 1024;

/**
 * Uploads of callers who do not share the host's directories. What comes in is kept in a store that only the caller's key
 * leads to, and a session gets it only by the id that the upload was answered with: so nobody is served, told of, or builds
 * upon what somebody else has uploaded, also of a repository with the same path.
 *
 * A pack is taken in beside the store and moved into it once all of it was checked.
 */
export class SnapshotUploads {
  readonly #directory: string;
  readonly #limits: PackLimits;
  readonly #tickets = new Map<string, { snapshot: RepositorySnapshot; timer: NodeJS.Timeout }>();
  /** Names of the stores that something is uploaded to, once for each upload. */
  readonly #busy: string[] = [];
  readonly #ended = new Notifier();
  #running = 0;
  #leftovers: Promise<void> | undefined;

  /** `directory` holds the stores. It need not be there. */
  constructor(directory: string, limits: Partial<PackLimits> = {}) {
    this.#directory = directory;
    this.#limits = { ...PACK_LIMITS, ...limits };
  }

  /** Whether something is uploaded to a store just now. */
  isBusy(store: string): boolean {
    return this.#busy.includes(store);
  }

  /** Takes in a snapshot, as UploadSnapshot says. Leaving the loop ends it. Throws SNAPSHOT_INVALID, and what takePack throws. */
  async *receive(
    start: UploadStart,
    data: AsyncIterable<Uint8Array>,
    { signal }: { signal: AbortSignal },
  ): AsyncGenerator<MessageInitShape<typeof UploadSnapshotResponseSchema>, undefined> {
    const snapshot = checkStart(start);
    const name = PREFIX + createHash("sha256").update(`upload\0${start.key}`).digest("hex").slice(0, 40);
    const over = new AbortController();
    const limited = AbortSignal.any([signal, over.signal, AbortSignal.timeout(MAX_TIME_MS)]);
    await this.removeLeftovers();
    while (this.#running >= MAX_RUNNING) {
      await this.#ended.next({ signal });
      signal.throwIfAborted();
    }
    this.#running++;
    this.#busy.push(name);
    const store = join(this.#directory, name);
    let taking: Promise<void> | undefined;
    try {
      const objectFormat = snapshot.untrackedCommitId.length === 64 ? "sha256" : "sha1";
      const opened = await RepositoryStore.open(store, { located: { objectFormat }, signal: limited });
      yield { response: { case: "haves", value: { haves: await readHaves(store) } } };
      const received = new AsyncQueue<number>();
      let told = 0;
      const onReceived = (bytes: number): void => {
        if (bytes - told >= STEP_BYTES) received.push((told = bytes));
      };
      taking = take(opened, start, snapshot, data, { limits: this.#limits, onReceived, signal: limited });
      taking.catch(() => undefined).finally(() => received.end());
      for await (const bytes of received) {
        yield { response: { case: "progress", value: { receivedBytes: BigInt(bytes) } } };
      }
      await taking;
      yield { response: { case: "uploaded", value: { uploadId: this.#keep(snapshot, name) } } };
    } catch (error) {
      const timedOut = limited.aborted && !signal.aborted && !over.signal.aborted;
      throw timedOut ? new AppError("UPLOAD_STALLED", "The upload took more than an hour.") : error;
    } finally {
      over.abort();
      await taking?.catch(() => undefined);
      this.#busy.splice(this.#busy.indexOf(name), 1);
      this.#running--;
      this.#ended.notify();
      // One that was made for nothing.
      if (!this.isBusy(name)) await removeUnused(store);
    }
  }

  /** Returns the snapshot of an upload. Throws UPLOAD_UNKNOWN. */
  redeem(uploadId: string): RepositorySnapshot {
    const ticket = this.#tickets.get(uploadId);
    if (ticket !== undefined) return clone(RepositorySnapshotSchema, ticket.snapshot);
    throw new AppError("UPLOAD_UNKNOWN", "The host has no such upload, or no longer.", {
      help: "Start the session again: what was uploaded is sent once more, as far as it is missing.",
      retryable: true,
    });
  }

  /** Returns the commits that end the history of an uploaded snapshot. Undefined: it was not uploaded. */
  async boundaryOf({ store, untrackedCommitId }: RepositorySnapshot): Promise<string[] | undefined> {
    if (!store.startsWith(PREFIX)) return undefined;
    return await readBoundary(join(this.#directory, store), untrackedCommitId);
  }

  /** Removes what uploads to a host that was killed have left. It does so once, before the first upload is taken. */
  async removeLeftovers(): Promise<void> {
    this.#leftovers ??= removeLeftovers(this.#directory);
    await this.#leftovers;
  }

  #keep(snapshot: RepositorySnapshot, store: string): string {
    const uploadId = randomUUID();
    const forget = (id: string): void => {
      clearTimeout(this.#tickets.get(id)?.timer);
      this.#tickets.delete(id);
    };
    const timer = setTimeout(() => forget(uploadId), TICKET_MS).unref();
    // By this it is known to be from elsewhere: without, what it says of its directory would be of one of this machine.
    const senderStore = snapshot.senderStore || createHash("sha256").update(store).digest("hex");
    this.#tickets.set(uploadId, { snapshot: Object.assign(snapshot, { store, senderStore, uploadId: "" }), timer });
    for (const id of this.#tickets.keys()) if (this.#tickets.size > MAX_TICKETS) forget(id);
    return uploadId;
  }
}

/** Takes the pack beside the store, and into it once it was checked. */
async function take(
  store: RepositoryStore,
  { boundaryCommitIds }: UploadStart,
  snapshot: RepositorySnapshot,
  data: AsyncIterable<Uint8Array>,
  options: Parameters<typeof takePack>[2],
): Promise<void> {
  const directory = await mkdtemp(join(store.cacheDirectory, INCOMING));
  try {
    const objects = join(directory, "objects");
    await mkdir(objects);
    await takePack(
      {
        gitDirectory: store.directory,
        directory,
        commitIds: commitsOf(snapshot),
        boundaryCommitIds,
      },
      data,
      options,
    );
    options.signal.throwIfAborted();
    await store.takeObjects(objects);
    const records = join(store.directory, UPLOADED);
    await mkdir(records, { recursive: true, mode: 0o700 });
    const record = join(directory, "record");
    await writeFile(record, boundaryCommitIds.map((id) => `${id}\n`).join(""), { mode: 0o600 });
    await rename(record, join(records, snapshot.untrackedCommitId));
    const now = new Date();
    await utimes(store.directory, now, now);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Returns the snapshot of an upload that can be taken. Throws SNAPSHOT_INVALID. */
function checkStart({ key, snapshot, boundaryCommitIds }: UploadStart): RepositorySnapshot {
  if (!/^[0-9a-f]{64}$/.test(key) || snapshot === undefined) throw invalid("has no key, or no snapshot");
  const isId = snapshot.untrackedCommitId.length === 64 ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/;
  if (boundaryCommitIds.length > MAX_BOUNDARY || !boundaryCommitIds.every((id) => isId.test(id))) {
    throw invalid("has a boundary that is none");
  }
  snapshot.store = "";
  completeSnapshot(create(RepositorySpecSchema), snapshot);
  return snapshot;
}

async function readHaves(store: string): Promise<{ startCommitId: string; boundaryCommitIds: string[] }[]> {
  const ids = await readdir(join(store, UPLOADED)).catch(() => []);
  const times = await Promise.all(ids.map(async (id) => ({ id, ms: (await stat(join(store, UPLOADED, id))).mtimeMs })));
  const newest = times.sort((a, b) => b.ms - a.ms).slice(0, MAX_HAVES);
  return await Promise.all(
    newest.map(async ({ id }) => ({ startCommitId: id, boundaryCommitIds: (await readBoundary(store, id)) ?? [] })),
  );
}

async function readBoundary(store: string, id: string): Promise<string[] | undefined> {
  const text = await readFile(join(store, UPLOADED, id), "utf8").catch(() => undefined);
  return text?.split("\n").filter((line) => line !== "");
}

async function removeLeftovers(directory: string): Promise<void> {
  for (const name of await readdir(directory).catch(() => [])) {
    if (!name.startsWith(PREFIX)) continue;
    const store = join(directory, name);
    const cache = join(store, "claudecluster");
    for (const left of await readdir(cache).catch(() => [])) {
      if (left.startsWith(INCOMING)) await rm(join(cache, left), { recursive: true, force: true });
    }
    await removeUnused(store);
  }
}

async function removeUnused(store: string): Promise<void> {
  const records = await readdir(join(store, UPLOADED)).catch(() => []);
  if (records.length === 0) await rm(store, { recursive: true, force: true });
}

function invalid(what: string): AppError {
  return new AppError("SNAPSHOT_INVALID", `The upload ${what}.`, { help: "Use a front of the host's own version." });
}
