import { create } from "@bufbuild/protobuf";
import { AppError, type FileChange, FileChange_Kind, FileChangeSchema } from "../../proto/index.ts";
import { diffFiles, type FileDiff, objectSizes } from "./change-diff.ts";
import { PrivateIndex, type PrivateIndexOptions } from "./private-index.ts";
import type { RawDiffEntry } from "./raw-diff.ts";
import { quotePath, type RawPath } from "./raw-path.ts";
import { readChanges } from "./tree-changes.ts";

/** The start commit's files are as old as the checkout: a second later git can tell them from later writes by time. */
const SETTLE_AFTER_MS = 1100;
/** Looking at the touched files alone trusts the kernel to have told of all of them. */
const WHOLE_EVERY_MS = 10_000;
/** Old versions stay in the object directory, which is memory, until it is thrown away: above this. */
const MAX_STAGED_BYTES = 64 * 1024 * 1024;
/** What one scan returns at most: the rest comes with the next ones. */
const MAX_DELTA_BYTES = 32 * 1024 * 1024;
const MAX_DELTA_FILES = 2000;
/** So few are diffed without asking for their sizes first. */
const FEW_FILES = 20;

/** What a scan of the work tree found. */
export interface Scan {
  /** Every file that differs from the start commit. */
  changes: FileChange[];
  /**
   * The files whose difference is another one than at the scan before, with their whole diff. KIND_REVERTED with an
   * empty patch: it does not differ any more.
   */
  delta: { change: FileChange; patch: Buffer }[];
  /** More has changed than one scan returns: scan again. */
  more: boolean;
  unreadablePaths: string[];
}

interface Reported {
  newMode: string;
  newId: string;
  change: FileChange;
}

/** Follows the work tree from scan to scan. Trusts what it stored, which Claude could alter: for looking, not for the result. */
export class LiveChanges {
  readonly #options: Omit<PrivateIndexOptions, "signal" | "name">;
  readonly #startedAt = performance.now();
  #index: PrivateIndex | undefined;
  #settled = false;
  #wholeAt = -Infinity;
  /** How much a new index had stored once it was up to date. */
  #freshBytes = 0;
  #reported = new Map<RawPath, Reported>();
  /** What was in .gitattributes files when the index was made. */
  #attributes = "";

  constructor(options: Omit<PrivateIndexOptions, "signal" | "name">) {
    this.#options = options;
  }

  /** How much the scans have stored. */
  get stagedBytes(): number {
    return this.#index?.stagedBytes ?? 0;
  }

  /** Makes the index while the checkout's can still be trusted. */
  async open(options: { signal: AbortSignal }): Promise<void> {
    this.#index = await PrivateIndex.create({ ...this.#options, name: "live", signal: options.signal });
  }

  /**
   * Returns what changed. `touched` are the files that may have: it looks at those alone, but now and then at all.
   * Calls must not overlap.
   */
  async scan(options: { touched?: readonly RawPath[] | undefined; signal: AbortSignal }): Promise<Scan> {
    const { signal } = options;
    const wholeIsDue = performance.now() - this.#wholeAt > WHOLE_EVERY_MS;
    const only = wholeIsDue || !this.#settled ? undefined : options.touched;
    const known = this.#index;
    if (known !== undefined) {
      try {
        const scan = await this.#scan(known, { only, fresh: false, signal });
        // Old versions of files take the room that new ones need: the next scan starts over.
        const enough = known.crowded ? 1.5 * this.#freshBytes : Math.max(4 * this.#freshBytes, MAX_STAGED_BYTES);
        const outgrown = known.stagedBytes > enough;
        // What cannot be removed now is replaced by then; the scan has been counted as told and must not be lost.
        if (outgrown) await this.release({ signal }).catch(() => undefined);
        return { ...scan, more: scan.more || (outgrown && known.crowded) };
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof AppError && error.reason === "WORK_TREE_STUCK") throw error;
        // Whatever it was (a damaged index, a full directory, a git that was killed): a new index knows no past.
      }
    }
    this.#index = undefined;
    const { copyOf: _, ...fresh } = this.#options;
    const index = await PrivateIndex.create({ ...fresh, name: "live", signal });
    this.#settled = true;
    this.#index = index;
    const scan = await this.#scan(index, { fresh: true, signal });
    this.#freshBytes = index.stagedBytes;
    return scan;
  }

  /** Frees what the index takes. The next scan makes a new one. */
  async release(options: { signal: AbortSignal }): Promise<void> {
    const index = this.#index;
    this.#index = undefined;
    await index?.dispose(options);
  }

  async #scan(
    index: PrivateIndex,
    options: { only?: readonly RawPath[] | undefined; fresh: boolean; signal: AbortSignal },
  ): Promise<Scan> {
    const { only, fresh: first, signal } = options;
    if (!this.#settled && performance.now() - this.#startedAt > SETTLE_AFTER_MS) {
      await index.refresh({ signal });
      this.#settled = true;
    }
    const { entries, unreadable, attributes } = await readChanges(index, { still: false, only, signal });
    if (!first && attributes !== this.#attributes) throw new Error("all files have to be read with other attributes");
    this.#attributes = attributes;
    if (only === undefined) this.#wholeAt = performance.now();
    const fresh = entries.filter((entry) => {
      const known = this.#reported.get(entry.path);
      return known?.newMode !== entry.newMode || known.newId !== entry.newId;
    });
    const many = fresh.length > FEW_FILES;
    const sizes = many ? await objectSizes(index.place, fresh.slice(0, MAX_DELTA_FILES), { signal }) : undefined;
    const batch = sizes === undefined ? fresh : limit(fresh, sizes);
    const delta: Scan["delta"] = [];
    for (const { entry, change, patch } of await diff(index, batch, { sizes, signal })) {
      this.#reported.set(entry.path, { newMode: entry.newMode, newId: entry.newId, change });
      delta.push({ change, patch });
    }
    const current = new Set(entries.map(({ path }) => path));
    for (const path of this.#reported.keys()) {
      if (current.has(path)) continue;
      this.#reported.delete(path);
      delta.push({ change: reverted(path), patch: Buffer.alloc(0) });
    }
    const changes = entries.flatMap(({ path }) => this.#reported.get(path)?.change ?? []);
    return { changes, delta, more: batch.length < fresh.length, unreadablePaths: unreadable.map(quotePath) };
  }
}

/** Returns as many of the entries as one scan can diff, at least one. */
function limit(entries: readonly RawDiffEntry[], sizes: ReadonlyMap<string, number>): RawDiffEntry[] {
  let bytes = 0;
  const batch = entries.slice(0, MAX_DELTA_FILES);
  const end = batch.findIndex(({ oldId, newId }, at) => {
    bytes += (sizes.get(oldId) ?? 0) + (sizes.get(newId) ?? 0);
    return at > 0 && bytes > MAX_DELTA_BYTES;
  });
  return end === -1 ? batch : batch.slice(0, end);
}

/** Diffs the files. One whose diff is above all limits gets an empty one. */
async function diff(
  index: PrivateIndex,
  batch: RawDiffEntry[],
  options: { sizes: ReadonlyMap<string, number> | undefined; signal: AbortSignal },
): Promise<FileDiff[]> {
  const { directory, emptyTree } = index;
  const common = { directory, emptyTree, renames: false, maxPatchBytes: 4 * MAX_DELTA_BYTES, ...options };
  try {
    return (await diffFiles(index.place, batch, { ...common, patch: true })).files;
  } catch (error) {
    if (!(error instanceof AppError) || error.reason !== "OUTPUT_TOO_LARGE") throw error;
    return (await diffFiles(index.place, batch, { ...common, patch: false })).files;
  }
}

function reverted(path: RawPath): FileChange {
  return create(FileChangeSchema, { path: quotePath(path), kind: FileChange_Kind.REVERTED });
}
