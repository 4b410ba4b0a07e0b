import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, statfs, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { git, gitLine, type GitPlace } from "../repository/git.ts";
import { raceSignal } from "../runtime/race-signal.ts";
import type { CreateProgress } from "../runtime/runtime.ts";
import type { Supplies } from "../runtime/supplies.ts";

const MIB = 1024 ** 2;
/** Less is fetched as quickly as it is supplied (bytes). */
const MIN_BYTES = 16 * MIB;
/** More is not supplied (bytes). */
const MAX_BYTES = 4 * 1024 * MIB;
/** Of one repository, and of all together, no more is kept than that: the ones that were used last. */
const MAX_PER_STORE = 2;
const MAX_TOTAL_BYTES = 4 * 1024 * MIB;
/** One that nobody has used is kept so long, those of other hosts too (ms). */
const UNUSED_MS = 7 * 24 * 60 * 60_000;
/** Bytes of the disk that are left free. */
const MIN_FREE_BYTES = 1024 * MIB;
const MAKE_MS = 10 * 60_000;
const SWEEP_MS = 60_000;
/** Directory in a store with a record for each supply. */
const RECORDS = "supplies";

/** What a session is served, in the store that has it. */
export interface SuppliedStart {
  /** Directory of the store. */
  store: string;
  /** Git directory that the session is served from: it says where history ends. */
  served: string;
  /** Commits that are checked out. */
  headCommitIds: readonly string[];
}

/** How a supply is looked for. */
export interface FindOptions {
  /** An image that the session's container is made from. */
  image: string;
  signal: AbortSignal;
  /** Called if it is made, which takes a while. */
  onProgress: (progress: CreateProgress) => void;
}

interface Supplied {
  /** Empty: it is not worth it. */
  name: string;
  bytes: number;
}

/**
 * Supplies of what is committed in the repositories that sessions start from: packs and their indexes, made once, which the runtime
 * keeps for its containers to read. So no session fetches, checks or indexes again what an earlier one of the same commit had,
 * and the first one does none of it in its container. A supply has what all its sessions have anyway: the commits that
 * are checked out, with as much history as was asked for. All else is fetched. It is a cache: without one everything is fetched.
 */
export class StartSupplies implements AsyncDisposable {
  readonly #storesDirectory: string;
  readonly #supplies: Supplies;
  readonly #logger: Logger;
  readonly #minBytes: number;
  readonly #making = new Map<string, Promise<Supplied>>();
  readonly #failed = new Set<string>();
  readonly #closing = new AbortController();

  /** `minBytes`: size of packs below which there is no supply. Default: 16 MiB. */
  constructor(options: { storesDirectory: string; supplies: Supplies; logger: Logger; minBytes?: number }) {
    this.#storesDirectory = options.storesDirectory;
    this.#supplies = options.supplies;
    this.#logger = options.logger;
    this.#minBytes = options.minBytes ?? MIN_BYTES;
  }

  /**
   * Returns the name of the supply for a start. It is made if it is not there. Undefined: there is none, since it is small or
   * could not be made. Rejects with the signal's reason alone; what it has begun goes on for the next one.
   */
  async find(start: SuppliedStart, options: FindOptions): Promise<string | undefined> {
    const { image, signal, onProgress } = options;
    try {
      if (start.headCommitIds.length === 0) return undefined;
      const storedBytes = await sizeOfPacks(join(start.store, "objects"));
      if (storedBytes < this.#minBytes) return undefined;
      const { shallow, record } = await readStart(start);
      if (this.#failed.has(record)) return undefined;
      const known = this.#making.has(record) ? undefined : await this.#known(record, signal);
      if (known === undefined) onProgress({ phase: "supply", message: "Putting the repository beside the containers" });
      // Another session may have begun meanwhile.
      const make = () => this.#making.get(record) ?? this.#make(start, { record, shallow, storedBytes, image });
      const { name } = known ?? (await raceSignal(make(), signal));
      return name === "" ? undefined : name;
    } catch (error) {
      signal.throwIfAborted();
      this.#logger.warn({ err: error }, "what a session starts from could not be supplied; it is fetched");
      return undefined;
    }
  }

  /** Returns whether a start has, or may have, so much that it is supplied. */
  async isLarge(start: SuppliedStart): Promise<boolean> {
    if (start.headCommitIds.length === 0 || (await sizeOfPacks(join(start.store, "objects"))) < this.#minBytes)
      return false;
    const { record } = await readStart(start);
    return (await readRecord(record))?.name !== "";
  }

  async #known(record: string, signal: AbortSignal): Promise<Supplied | undefined> {
    const supplied = await readRecord(record);
    if (supplied === undefined) return undefined;
    const there = supplied.name === "" || (await this.#supplies.has(supplied.name, { signal }));
    if (!there) {
      await rm(record, { force: true });
      return undefined;
    }
    const now = new Date();
    await utimes(record, now, now);
    return supplied;
  }

  #make(start: SuppliedStart, options: PackOptions & { record: string; image: string }): Promise<Supplied> {
    const { record } = options;
    const making = this.#makeOnce(start, options).finally(() => this.#making.delete(record));
    this.#making.set(record, making);
    making.then(
      () => this.sweep({ nowMs: Date.now() }).catch(() => undefined),
      () => this.#failed.add(record),
    );
    return making;
  }

  async #makeOnce(
    start: SuppliedStart,
    { record, image, ...options }: PackOptions & { record: string; image: string },
  ): Promise<Supplied> {
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(MAKE_MS)]);
    const cache = join(start.store, "claudecluster");
    // A name that RepositoryStore knows for abandoned, if this host is killed meanwhile.
    const directory = await mkdtemp(join(cache, "work-supply-"));
    try {
      const bytes = await packStart(start, directory, { ...options, signal });
      const name = bytes < this.#minBytes ? "" : await this.#supplies.put(directory, { image, signal });
      const fresh = `${directory}.record`;
      await writeFile(fresh, JSON.stringify({ name, bytes } satisfies Supplied), { mode: 0o600 });
      await mkdir(join(start.store, RECORDS), { recursive: true, mode: 0o700 });
      await rename(fresh, record);
      return { name, bytes };
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  /**
   * Removes supplies that nobody has used for a week, those beyond what is kept, and those that no record names: a killed host
   * leaves such. Those that containers have stay until the next time. What could not be made is tried again from then on.
   */
  async sweep({ nowMs }: { nowMs: number }): Promise<void> {
    this.#failed.clear();
    // What is being put there has no record yet.
    if (this.#making.size > 0) return;
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(SWEEP_MS)]);
    const listed = await this.#supplies.list({ signal }).catch((error: unknown) => {
      // Without a runtime there is nothing to sweep; sessions say so themselves.
      this.#logger.debug({ err: error }, "supplies were not listed");
      return [];
    });
    // After that: what is listed has its record by now, or is still being made.
    const kept = await this.#trim(nowMs);
    for (const { name, own, createTimeMs } of listed) {
      if (own ? kept.has(name) || this.#making.size > 0 : !(nowMs - createTimeMs > UNUSED_MS)) continue;
      await this.#supplies.remove(name, { signal });
    }
  }

  /** Ends what is being made, and waits until nothing of it is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error("the host is shutting down"));
    await Promise.allSettled(this.#making.values());
  }

  /** Forgets those that are not to be kept. Returns the names of the others. */
  async #trim(nowMs: number): Promise<Set<string>> {
    const records: { store: string; path: string; usedMs: number; supplied: Supplied }[] = [];
    for (const store of await readdir(this.#storesDirectory).catch(() => [])) {
      const directory = join(this.#storesDirectory, store, RECORDS);
      for (const key of await readdir(directory).catch(() => [])) {
        const path = join(directory, key);
        const supplied = (await readRecord(path)) ?? { name: "", bytes: 0 };
        records.push({ store, path, supplied, usedMs: (await stat(path)).mtimeMs });
      }
    }
    const kept = new Set<string>();
    const counts = new Map<string, number>();
    let bytes = 0;
    for (const { store, path, usedMs, supplied } of records.sort((a, b) => b.usedMs - a.usedMs)) {
      const count = (counts.get(store) ?? 0) + 1;
      counts.set(store, count);
      bytes += supplied.bytes;
      if (count > MAX_PER_STORE || bytes > MAX_TOTAL_BYTES || nowMs - usedMs > UNUSED_MS)
        await rm(path, { force: true });
      else kept.add(supplied.name);
    }
    return kept;
  }
}

interface PackOptions {
  /** What the served directory says of where history ends. */
  shallow: string;
  /** Size of all packs that the store has, or borrows. */
  storedBytes: number;
}

/**
 * Puts into a directory what the agent looks for in a supply: objects, and what git has to know of them. Returns the size of the
 * packs, 0 if they would be too large.
 *
 * What is checked out lies there as it is, not compressed: it is made once and read by every session, which has a fifth
 * of the work with it. History is copied as it lies in packs.
 */
async function packStart(
  { store, served, headCommitIds }: SuppliedStart,
  directory: string,
  { shallow, storedBytes, signal }: PackOptions & { signal: AbortSignal },
): Promise<number> {
  const place: GitPlace = { settings: "none", gitDirectory: served, objectDirectory: join(store, "objects") };
  const { bavail, bsize } = await statfs(directory);
  const most = Math.min(MAX_BYTES, bavail * bsize - MIN_FREE_BYTES);
  const trees = headCommitIds.map((id) => `${id}^{tree}`);
  const checkedOut = await git(place, ["rev-list", "--objects", "--no-object-names", ...trees], { signal });
  const sizes = await git(place, ["cat-file", "--batch-check=%(objectsize)"], { input: checkedOut, signal });
  let bytes = sizes
    .toString()
    .split("\n")
    .reduce((sum, size) => sum + Number(size), 0);
  // With the commits alone there is nothing else.
  const hasHistory = !headCommitIds.every((id) => shallow.includes(id));
  if (hasHistory && bytes + storedBytes > most) {
    bytes += Number(await gitLine(place, ["rev-list", "--objects", "--disk-usage", ...headCommitIds], { signal }));
  }
  if (bytes > most) return 0;
  const packs = join(directory, "objects/pack");
  await mkdir(packs, { recursive: true });
  const pack = (input: string | Buffer, ...flags: string[]) =>
    git(place, ["pack-objects", "--threads=1", "-q", ...flags, join(packs, "pack")], { input, signal });
  const plain = ["--window=0", "--no-reuse-object", "--compression=0"];
  const commits = headCommitIds.map((id) => `${id}\n`).join("");
  if (hasHistory) await pack(commits, "--revs", "--window=0", "--delta-base-offset");
  // git looks into the newest pack first.
  if (hasHistory) await pack(checkedOut, ...plain);
  else await pack(commits, "--revs", ...plain);
  const refs = headCommitIds.map((id, at) => `${id} refs/claudecluster/supplied/${at}\n`);
  await writeFile(join(directory, "packed-refs"), refs.join(""));
  if (shallow !== "") await writeFile(join(directory, "shallow"), shallow);
  return await sizeOfPacks(join(directory, "objects"));
}

/** Where the history of a start ends, and the path of the record of its supply. */
async function readStart({
  store,
  served,
  headCommitIds,
}: SuppliedStart): Promise<{ shallow: string; record: string }> {
  const shallow = await readFile(join(served, "shallow"), "utf8").catch(() => "");
  const facts = [...headCommitIds.toSorted(), "shallow", ...shallow.split("\n").sort()].join("\n");
  const key = createHash("sha256").update(facts).digest("hex").slice(0, 32);
  return { shallow, record: join(store, RECORDS, key) };
}

async function readRecord(path: string): Promise<Supplied | undefined> {
  const text = await readFile(path, "utf8").catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Supplied);
}

/** Returns the size of the packs in an object directory and in those that it borrows from. */
async function sizeOfPacks(objectDirectory: string): Promise<number> {
  const packs = join(objectDirectory, "pack");
  const names = (await readdir(packs).catch(() => [])).filter((name) => name.endsWith(".pack"));
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(packs, name))).size));
  const borrowed = await readFile(join(objectDirectory, "info/alternates"), "utf8").catch(() => "");
  const others = borrowed.split("\n").filter((line) => line !== "");
  const more = await Promise.all(others.map(sizeOfPacks));
  return [...sizes, ...more].reduce((sum, size) => sum + size, 0);
}
