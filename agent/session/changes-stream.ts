import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import type { Logger } from "../log.ts";
import {
  ChangesUpdatedSchema,
  CommitMadeSchema,
  cutChanges,
  cutText,
  type EventBody,
  type FileChange,
  FilePatchedSchema,
  Notifier,
} from "../../proto/index.ts";
import type { Scan } from "../git/live-changes.ts";
import { TurnTaking } from "../git/turn-taking.ts";
import type { Workspace } from "../git/workspace.ts";
import { rest, within } from "../wait.ts";

/** One save is several file events, within a few milliseconds; together they make one look. */
const DEBOUNCE_MS = 15;
/** After a look of one unit of time come nine without: a tenth of the time at most. The same for whole scans, by themselves. */
const REST_FACTOR = 9;
/** Rest that may be owed: looks now and then need not wait for each other. */
const MAX_OWED_MS = 2000;
const MAX_REST_MS = 30_000;
const MAX_RETRY_MS = 30_000;
/** With the path twice and the rest this stays below the 64 KiB of an event. */
const PART_BYTES = 48 * 1024;
/** A larger diff is no reading matter; it is in the patch. */
const MAX_FILE_DIFF_BYTES = 4 * 1024 * 1024;
const LIST_BYTES = 48 * 1024;
/** Most bytes of a commit's subject, and of a branch's name. */
const MAX_TEXT_BYTES = 1024;
/** They change no file. */
const READING_TOOLS = new Set(["Read", "Glob", "Grep", "WebFetch", "WebSearch", "TodoWrite", "ToolSearch"]);

type ScannedWorkspace = Pick<Workspace, "scan" | "look" | "watch"> & Partial<Pick<Workspace, "lookForCommits">>;

/** Workspace to look at, and where its changes go. */
export interface ChangesStreamOptions {
  workspace: ScannedWorkspace;
  emit(event: EventBody): void;
  /** Takes each change that is found, also one that is too large to be told. */
  onChange?: (change: FileChange) => void;
  /** Resolves when more may be emitted, or with false if there will be no room. */
  roomy(): Promise<boolean>;
  log: Logger;
}

/** Stream of the workspace's changes while they happen. A scan that fails is tried again. */
export class ChangesStream {
  readonly #options: ChangesStreamOptions;
  readonly #stopping = new AbortController();
  /** What one look finds is told before the next one begins. */
  readonly #turns = new TurnTaking();
  readonly #readingToolUses = new Set<string>();
  #running: Promise<unknown> = Promise.resolve();
  #dirty = false;
  readonly #poked = new Notifier();
  #scanIsDue = false;
  /** When everything may be scanned again. */
  #scanFromMs = -Infinity;
  /** When all rest will have been taken. */
  #restedMs = -Infinity;

  constructor(options: ChangesStreamOptions) {
    this.#options = options;
  }

  /** Begins to watch and to emit. */
  start(): void {
    const { signal } = this.#stopping;
    this.#running = Promise.all([this.#watch(signal), this.#loop(signal)]);
  }

  /** Looks sooner if an event of Claude's means that files have changed. */
  notice(event: EventBody): void {
    if (event.case === "toolUseStarted" && READING_TOOLS.has(event.value.name)) {
      this.#readingToolUses.add(event.value.toolUseId);
    } else if (event.case === "toolUseFinished" && !this.#readingToolUses.delete(event.value.toolUseId)) {
      this.poke();
    }
  }

  /** Looks soon: files may have changed. */
  poke(): void {
    this.#dirty = true;
    this.#poked.notify();
  }

  /** Ends watching and scanning. Resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Scans everything now and emits what is new. Waits for looks under way. Throws what the workspace throws. */
  scan({ signal }: { signal: AbortSignal }): Promise<void> {
    return this.#turns.run(signal, async () => {
      for (let more = true; more;) {
        const scan = await this.#options.workspace.scan({ signal });
        await this.#emitScan(scan);
        await this.#emitCommits(signal);
        more = scan.more && scan.delta.length > 0;
      }
    });
  }

  async #emitScan(scan: Scan): Promise<void> {
    if (scan.delta.length === 0) return;
    for (const { change, patch } of scan.delta) {
      this.#options.onChange?.(change);
      await this.#emitPatch(change, patch);
    }
    const changes = cutChanges(scan.changes, LIST_BYTES);
    const value = create(ChangesUpdatedSchema, { changes, changeCount: scan.changes.length });
    this.#options.emit({ case: "changesUpdated", value });
  }

  async #emitCommits(signal: AbortSignal): Promise<void> {
    const made = await this.#options.workspace.lookForCommits?.({ signal });
    if (made === undefined) return;
    const cut = {
      subject: cutText(made.subject, MAX_TEXT_BYTES).text,
      branch: cutText(made.branch, MAX_TEXT_BYTES).text,
    };
    this.#options.emit({ case: "commitMade", value: create(CommitMadeSchema, { ...made, ...cut }) });
  }

  async #watch(signal: AbortSignal): Promise<void> {
    try {
      for await (const _ of this.#options.workspace.watch({ signal })) this.poke();
    } catch (error) {
      // Claude's own tool events still lead to scans.
      if (!signal.aborted) this.#options.log.warn({ err: error }, "watching the workspace failed");
    }
  }

  async #loop(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (await this.#dirtied(signal)) {
      if (!(await rest(DEBOUNCE_MS, signal))) return;
      this.#dirty = false;
      let retryMs = 0;
      try {
        await this.#look(signal);
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        this.#options.log.warn({ err: error, failures }, "scanning the workspace failed");
        this.#dirty = true;
        retryMs = Math.min(500 * 2 ** failures, MAX_RETRY_MS);
      }
      const restMs = this.#restedMs - MAX_OWED_MS - performance.now();
      if (!(await rest(Math.max(restMs, retryMs), signal))) return;
    }
  }

  /** Looks at what was touched, and scans everything if that is due and was not done so lately. */
  async #look(signal: AbortSignal): Promise<void> {
    const mayScan = performance.now() >= this.#scanFromMs;
    await this.#turns.run(signal, () =>
      this.#timed(async () => {
        const look = await this.#options.workspace.look({ mayScan, signal });
        this.#scanIsDue = look.wholeIsDue;
        await this.#emitScan(look);
        await this.#emitCommits(signal);
        return look.whole;
      }),
    );
    if (!this.#scanIsDue || !mayScan) return;
    await this.#timed(async () => {
      await this.scan({ signal });
      this.#scanIsDue = false;
      return true;
    });
  }

  /** Does work, which returns whether it was a whole scan, and has it followed by its rest. */
  async #timed(work: () => Promise<boolean>): Promise<void> {
    const start = performance.now();
    let whole = true;
    try {
      whole = await work();
    } finally {
      const now = performance.now();
      const restMs = Math.min(REST_FACTOR * (now - start), MAX_REST_MS);
      if (whole) this.#scanFromMs = now + restMs;
      else this.#restedMs = Math.max(this.#restedMs, now) + restMs;
    }
  }

  /** Resolves when there is something to look at. False: it is over. */
  async #dirtied(signal: AbortSignal): Promise<boolean> {
    while (!this.#dirty && !signal.aborted) {
      const woken = this.#poked.next({ signal });
      const waitMs = Math.max(0, this.#scanFromMs - performance.now());
      if (!this.#scanIsDue) await woken;
      else if (!(await within(woken, waitMs, signal))) this.#dirty = true;
    }
    return !signal.aborted;
  }

  async #emitPatch(change: FileChange, patch: Uint8Array): Promise<void> {
    if (patch.length > MAX_FILE_DIFF_BYTES) return;
    const partCount = Math.max(1, Math.ceil(patch.length / PART_BYTES));
    const patchSha256 = createHash("sha256").update(patch).digest();
    for (let partIndex = 0; partIndex < partCount; partIndex++) {
      if (!(await this.#options.roomy())) return;
      const start = partIndex * PART_BYTES;
      // A copy: the log keeps parts, and a part of a buffer would keep the whole.
      const part = new Uint8Array(patch.subarray(start, start + PART_BYTES));
      const value = create(FilePatchedSchema, { change, patch: part, partIndex, partCount, patchSha256 });
      this.#options.emit({ case: "filePatched", value });
    }
  }
}
