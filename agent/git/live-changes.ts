import { create } from "@bufbuild/protobuf";
import {
  AppError,
  type FileChange,
  FileChange_Kind,
  FileChangeSchema,
  parentsOf,
  quotePath,
  type RawPath,
} from "../../proto/index.ts";
import { OBJECT_FORMATS } from "./base-repository.ts";
import { claimsStamp } from "./claims.ts";
import type { FileDiff } from "./change-diff.ts";
import { diffBatch } from "./diff-batch.ts";
import { forgetFew, lookAtFew } from "./few-files.ts";
import { PrivateIndex, type PrivateIndexOptions } from "./private-index.ts";
import type { RawDiffEntry } from "./raw-diff.ts";
import { LIVE, removeDirectory, scanPlace } from "./scan-place.ts";
import type { Touched } from "./touched-paths.ts";
import { readChanges } from "./tree-changes.ts";

/** The start commit's files are as old as the checkout: a second later git can tell them from later writes by time. */
const SETTLE_AFTER_MS = 1100;
/** Looking at the touched files alone trusts the kernel to have told of all of them: while there are any, for so long. */
const WHOLE_EVERY_MS = 30_000;
/** A look at everything that takes no longer than this is not worth avoiding. */
const SHORT_MS = 40;
/** Old versions stay in the object directory, which is memory, until it is thrown away: above this. */
const MAX_STAGED_BYTES = 64 * 1024 * 1024;
/** What a look at a few files calls its directory. */
const FEW = "few";

/** Changes of the work tree that a scan found. */
export interface Scan {
  /** Every file that differs from the start commit. */
  changes: FileChange[];
  /**
   * Files whose difference is another one than at the scan before, with their whole diff. KIND_REVERTED with an empty
   * patch: the file does not differ any more.
   */
  delta: { change: FileChange; patch: Buffer }[];
  /** Whether more has changed than one scan returns: scan again. */
  more: boolean;
  /** Paths that could not be read in the last whole scan. */
  unreadablePaths: string[];
}

/** Changes that a look at touched files found. */
export interface Look extends Scan {
  /** Whether it was a whole scan. */
  whole: boolean;
  /** Whether only a whole scan can tell of some files. */
  wholeIsDue: boolean;
}

interface Reported {
  newMode: string;
  newId: string;
  change: FileChange;
}

/**
 * Changes of the work tree while Claude works, from scan to scan. It trusts what it has stored, which Claude could
 * alter: it serves for looking and not for the result.
 */
export class LiveChanges {
  readonly #options: Omit<PrivateIndexOptions, "signal" | "name">;
  readonly #startedAt = performance.now();
  #index: PrivateIndex | undefined;
  /** Whether the checkout's index waits to be taken. */
  #copied: boolean;
  #settled = false;
  #wholeIsDue = true;
  #wholeAt = -Infinity;
  #wholeMs = 0;
  /** Of Claude's own index at the last whole scan. */
  #stamp: string | undefined;
  /** How much a new index had stored once it was up to date. */
  #freshBytes = 0;
  /** How much the last look at a few files has stored. */
  #fewBytes = 0;
  readonly #reported = new Map<RawPath, Reported>();
  #unreadable = new Set<RawPath>();
  readonly #ignored = new Set<RawPath>();
  /** What was in .gitattributes files when the index was made. */
  #attributes = "";

  /** `copied`: the directory of the index holds that of a fresh checkout. */
  constructor({ copied, ...options }: Omit<PrivateIndexOptions, "signal" | "name">) {
    this.#options = options;
    this.#copied = copied === true;
  }

  /** Bytes that the scans have stored. */
  get stagedBytes(): number {
    return this.#fewBytes + (this.#index?.stagedBytes ?? 0);
  }

  /** Directories in which nothing differs whatever happens, as long as nobody touches them themselves or what git ignores. */
  get ignored(): ReadonlySet<RawPath> {
    return new Set(this.#ignored);
  }

  /** Forgets what is ignored: it may be other files now. */
  forgetIgnored(): void {
    this.#ignored.clear();
  }

  /** Looks at everything and returns what changed. Calls of `scan` and `look` must not overlap. */
  async scan(options: { signal: AbortSignal }): Promise<Scan> {
    const start = performance.now();
    this.#stamp = await claimsStamp(this.#options.workTree);
    const scan = await this.#scanOrStartOver(options);
    this.#wholeAt = performance.now();
    this.#wholeMs = this.#wholeAt - start;
    this.#wholeIsDue = scan.more;
    return scan;
  }

  /**
   * Looks at touched files and returns what changed. Where only a whole scan can tell, it scans if `mayScan`, and
   * otherwise says that a scan is due. It looks at few files first if a whole scan would make them wait.
   */
  async look(options: { touched: Touched; mayScan: boolean; signal: AbortSignal }): Promise<Look> {
    const { touched, mayScan, signal } = options;
    const { paths } = touched;
    if (touched.all || this.#index === undefined) this.#wholeIsDue = true;
    if (paths.length > 0 && performance.now() - this.#wholeAt > WHOLE_EVERY_MS) this.#wholeIsDue = true;
    if ((await claimsStamp(this.#options.workTree)) !== this.#stamp) this.#wholeIsDue = true;
    // Of many files some say whether all of them are ignored.
    const first = this.#wholeMs > SHORT_MS || touched.many;
    const waits = this.#index !== undefined && paths.length > 0 && first;
    if (this.#wholeIsDue && mayScan && !waits) {
      return { ...(await this.scan({ signal })), whole: true, wholeIsDue: this.#wholeIsDue };
    }
    const delta = paths.length > 0 ? await this.#lookAtFew(paths, { signal }) : [];
    return { ...this.#told(delta, { more: false }), whole: false, wholeIsDue: this.#wholeIsDue };
  }

  /** Frees what the scans have stored. The next scan makes a new index. */
  async release(options: { signal: AbortSignal }): Promise<void> {
    const index = this.#index;
    const { place, directory } = scanPlace({ ...this.#options, name: LIVE });
    this.#index = undefined;
    this.#fewBytes = 0;
    if (index !== undefined || this.#copied) await removeDirectory(place, directory, options);
    this.#copied = false;
    await forgetFew({ ...this.#few, ...options });
  }

  async #scanOrStartOver({ signal }: { signal: AbortSignal }): Promise<Scan> {
    if (this.#index !== undefined || this.#copied) {
      try {
        const known = (this.#index ??= await this.#takeCopy({ signal }));
        const scan = await this.#scan(known, { fresh: false, signal });
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
    const index = await PrivateIndex.create({ ...this.#options, name: LIVE, signal });
    this.#settled = true;
    this.#index = index;
    const scan = await this.#scan(index, { fresh: true, signal });
    this.#freshBytes = index.stagedBytes;
    return scan;
  }

  /** Makes the index from the checkout's. If that fails, it is gone. */
  async #takeCopy({ signal }: { signal: AbortSignal }): Promise<PrivateIndex> {
    this.#copied = false;
    return await PrivateIndex.create({ ...this.#options, copied: true, name: LIVE, signal });
  }

  async #scan(index: PrivateIndex, options: { fresh: boolean; signal: AbortSignal }): Promise<Scan> {
    const { fresh: first, signal } = options;
    if (!this.#settled && performance.now() - this.#startedAt > SETTLE_AFTER_MS) {
      await index.refresh({ signal });
      this.#settled = true;
    }
    const { entries, unreadable, attributes } = await readChanges(index, { still: false, signal });
    if (!first && attributes !== this.#attributes) throw new Error("all files have to be read with other attributes");
    this.#attributes = attributes;
    this.#unreadable = new Set(unreadable);
    const fresh = entries.filter((entry) => this.#isNew(entry));
    const { emptyTree } = OBJECT_FORMATS[this.#options.base.objectFormat];
    const { files, more } = await diffBatch(index.place, fresh, { directory: index.directory, emptyTree, signal });
    const delta = files.map((file) => this.#note(file));
    const current = new Set(entries.map(({ path }) => path));
    for (const path of this.#reported.keys()) if (!current.has(path)) delta.push(this.#revert(path));
    for (const folder of this.#ignored) if (this.#reportsBelow(folder)) this.#ignored.delete(folder);
    return this.#told(delta, { more });
  }

  /** Looks at these files alone. What it cannot tell of them makes a whole scan due. */
  async #lookAtFew(paths: readonly RawPath[], { signal }: { signal: AbortSignal }): Promise<Scan["delta"]> {
    const index = this.#index;
    const odd = (path: RawPath): boolean =>
      index === undefined ||
      this.#unreadable.has(path) ||
      [index.held, index.displaced, index.refused, index.skipped].some((paths) => paths.has(path));
    const asked = paths.filter((path) => !odd(path));
    if (asked.length < paths.length) this.#wholeIsDue = true;
    if (asked.length === 0) return [];
    try {
      const differed = (path: RawPath): boolean => this.#reported.has(path);
      const attributes = this.#attributes !== "" ? "changed" : index?.attributes.exist === true ? "some" : "none";
      const few = await lookAtFew(asked, { ...this.#few, differed, attributes, signal });
      this.#fewBytes = few.stagedBytes;
      for (const folder of few.ignored) {
        const known = parentsOf(folder).some((parent) => this.#ignored.has(parent));
        if (!known && !this.#reportsBelow(folder)) this.#ignored.add(folder);
      }
      if (few.left.length > 0) this.#wholeIsDue = true;
      const delta: Scan["delta"] = [];
      for (const [path, file] of few.files) {
        if (file === undefined) {
          if (this.#reported.has(path)) delta.push(this.#revert(path));
        } else if (this.#isNew(file.entry)) delta.push(this.#note(file));
      }
      return delta;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof AppError && error.reason === "WORK_TREE_STUCK") throw error;
      // Claude was quicker, or there is no room: the whole scan knows what to do.
      this.#wholeIsDue = true;
      return [];
    }
  }

  /** Claude may track a file that git ignores. */
  #reportsBelow(folder: RawPath): boolean {
    return [...this.#reported.keys()].some((path) => path.startsWith(`${folder}/`));
  }

  get #few(): Omit<PrivateIndexOptions, "signal"> {
    return { ...this.#options, name: FEW };
  }

  #isNew(entry: RawDiffEntry): boolean {
    const known = this.#reported.get(entry.path);
    return known?.newMode !== entry.newMode || known.newId !== entry.newId;
  }

  /** Takes note of how the file is told. */
  #note({ entry, change, patch }: FileDiff): Scan["delta"][number] {
    this.#reported.set(entry.path, { newMode: entry.newMode, newId: entry.newId, change });
    return { change, patch };
  }

  #revert(path: RawPath): Scan["delta"][number] {
    this.#reported.delete(path);
    const change = create(FileChangeSchema, { path: quotePath(path), kind: FileChange_Kind.REVERTED });
    return { change, patch: Buffer.alloc(0) };
  }

  #told(delta: Scan["delta"], { more }: { more: boolean }): Scan {
    const paths = [...this.#reported.keys()].sort();
    const changes = paths.flatMap((path) => this.#reported.get(path)?.change ?? []);
    return { changes, delta, more, unreadablePaths: [...this.#unreadable].map(quotePath) };
  }
}
