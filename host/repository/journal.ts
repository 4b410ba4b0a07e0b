import { createHash, randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { AppError, pathIn, type RawPath } from "../../proto/index.ts";
import { ExclusiveLock } from "../exclusive-lock.ts";
import { makeDirectory } from "../make-directory.ts";
import type { FileState } from "./file-states.ts";
import type { Replacement } from "./work-files.ts";

/** More of one work tree are kept by nobody's wish: the oldest go. */
const MAX_KEPT = 20;
/** Most that the copies of all work trees may come to. */
const MAX_BYTES = 1024 ** 3;
/** What an entry counts at least, so that their number is bounded too. */
const ENTRY_BYTES = 1024 ** 2;

/** Record of what an apply has staged, so that it can be taken back. */
export interface StagedRecord {
  /** "mode id" before and after of each path; "" for none. */
  entries: { path: string; from: string; to: string }[];
  /** SHA-256 of the index file as it was left, in hex. */
  sha256: string;
  /** SHA-256 of the index's listing, in hex. It stays the same when git refreshes the index. */
  listingSha256: string;
  /** True: there was an index before. */
  hadIndex: boolean;
}

/** Record of what an apply has done, or was about to do when it was broken off. */
export interface JournalRecord {
  version: 1;
  /**
   * State of the apply. "writing" and "undoing" stay if it, or its undo, is broken off. "ended": it was taken back but for
   * files that were changed since, whose copies from before are kept.
   */
  state: "writing" | "applied" | "undoing" | "ended";
  sessionId: string;
  /** Begin of the apply, in milliseconds since 1970. */
  timeMs: number;
  workTree: string;
  gitDirectory: string;
  /** Mark of this apply: in the names of files that are made beside others, and the content of its index.lock. */
  mark: string;
  /** Branch that was made. Undefined: the files were changed. */
  branch?: { name: string; commitId: string };
  /** Branches that were made with it. Default: none. */
  otherBranches?: { name: string; commitId: string }[];
  files: { path: string; from: FileState; to: FileState }[];
  /** Directories above the files before the apply, with their modes. */
  directories?: [path: string, mode: number][];
  /** Size of the copies of the old files. Default: 0. */
  bytes?: number;
  staged?: StagedRecord;
}

/** Entry of a journal: the directory of one apply, with its record, the old files and the old index. */
export class JournalEntry {
  readonly directory: string;
  record: JournalRecord;

  constructor(directory: string, record: JournalRecord) {
    this.directory = directory;
    this.record = record;
  }

  /** Directory of the old files, by their paths. */
  get oldFiles(): string {
    return join(this.directory, "old");
  }

  /** Returns the path of the copy of an old file. Undefined: there was none. */
  oldCopy(path: RawPath): string | undefined {
    const { from } = this.record.files.find((file) => file.path === path) ?? {};
    return from?.kind === "file" || from?.kind === "link" ? pathIn(this.oldFiles, path).toString() : undefined;
  }

  /** Directory of the files that are to be written, by their paths. */
  get newFiles(): string {
    return join(this.directory, "new");
  }

  /** Path of the old index. */
  get oldIndex(): string {
    return join(this.directory, "index");
  }

  /** Returns what is to become of each file, in an apply or in its undo. */
  replacements(direction: "apply" | "undo"): Replacement[] {
    if (direction === "apply") return this.record.files;
    return this.record.files.map(({ path, from, to }) => ({ path, from: to, to: from }));
  }

  /** Writes the record with a new state, in one step and through to the disk. */
  write(state: JournalRecord["state"]): void {
    this.record = { ...this.record, state };
    const path = join(this.directory, "journal.json");
    writeFileSync(`${path}.new`, JSON.stringify(this.record), { mode: 0o600, flush: true });
    renameSync(`${path}.new`, path);
  }

  /** Removes the entry with its files: the apply cannot be taken back any more. */
  remove(): void {
    rmSync(join(this.directory, "journal.json"), { force: true });
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/**
 * Journal of what was applied to one work tree: a directory in the user's state. One process at a time has it open.
 * Whoever opens it disposes of it. It keeps the last 20 applies, with those of other work trees within 1 GiB, and those that
 * were broken off.
 */
export class Journal implements Disposable {
  readonly #directory: string;
  readonly #lock: ExclusiveLock;

  private constructor(directory: string, lock: ExclusiveLock) {
    this.#directory = directory;
    this.#lock = lock;
  }

  /** Opens the journal of a work tree, below `undoDirectory`. Throws APPLY_BLOCKED if another process has it open. */
  static open(undoDirectory: string, workTree: string): Journal {
    const directory = directoryOf(undoDirectory, workTree);
    makeDirectory(directory);
    const lock = ExclusiveLock.take(join(directory, "lock"));
    if (lock !== undefined) return new Journal(directory, lock);
    throw new AppError("APPLY_BLOCKED", `Another claudecluster is applying or undoing something in ${workTree}.`, {
      retryable: true,
      help: "Try again when it is done.",
    });
  }

  /** Returns what was applied to a work tree and can be taken back, newest first, without opening its journal. */
  static applied(undoDirectory: string, workTree: string): JournalRecord[] {
    const directory = directoryOf(undoDirectory, workTree);
    const entries = existsSync(directory) ? readEntries(directory) : [];
    return entries.map(({ record }) => record).filter(({ state }) => state === "applied");
  }

  /** Returns the work tree that something of a session was applied to last and that can be taken back. Undefined: none. */
  static lastWorkTree(undoDirectory: string, sessionId: string): string | undefined {
    const names = existsSync(undoDirectory) ? readdirSync(undoDirectory) : [];
    const records = names.flatMap((name) => readEntries(join(undoDirectory, name))).map(({ record }) => record);
    const own = records.filter((record) => record.sessionId === sessionId && record.state !== "ended");
    return own.sort((a, b) => b.timeMs - a.timeMs)[0]?.workTree;
  }

  /** Returns the entries that can be taken back, newest first. One without a record is removed. */
  entries(): JournalEntry[] {
    for (const each of readdirSync(this.#directory, { withFileTypes: true })) {
      const directory = join(this.#directory, each.name);
      if (each.isDirectory() && !existsSync(join(directory, "journal.json"))) {
        rmSync(directory, { recursive: true, force: true });
      }
    }
    return readEntries(this.#directory).filter(({ record }) => record.state !== "ended");
  }

  /** Begins an entry. It counts once its record is written. */
  begin(record: Omit<JournalRecord, "version" | "state" | "timeMs" | "mark">): JournalEntry {
    this.#makeRoom();
    const mark = `claudecluster-${randomBytes(6).toString("hex")}`;
    const timeMs = Date.now();
    const directory = join(this.#directory, `${String(timeMs).padStart(15, "0")}-${mark}`);
    for (const each of [directory, join(directory, "old"), join(directory, "new")]) makeDirectory(each);
    return new JournalEntry(directory, { version: 1, state: "writing", timeMs, mark, ...record });
  }

  /** Removes the oldest of this work tree beyond the last 20, and the oldest of all where they take too much room. */
  #makeRoom(): void {
    for (const { directory } of readEntries(this.#directory).slice(MAX_KEPT - 1)) removeUnlessBroken(directory);
    const top = dirname(this.#directory);
    let bytes = ENTRY_BYTES;
    const all = readdirSync(top).flatMap((name) => readEntries(join(top, name)));
    for (const { directory, record } of all.sort((a, b) => (basename(a.directory) < basename(b.directory) ? 1 : -1))) {
      bytes += ENTRY_BYTES + (record.bytes ?? 0);
      if (bytes <= MAX_BYTES) continue;
      const tree = dirname(directory);
      using lock = tree === this.#directory ? undefined : ExclusiveLock.take(join(tree, "lock"));
      // Otherwise another process is at work there.
      if (tree === this.#directory || lock !== undefined) removeUnlessBroken(directory);
    }
  }

  [Symbol.dispose](): void {
    this.#lock[Symbol.dispose]();
  }
}

function directoryOf(undoDirectory: string, workTree: string): string {
  return join(undoDirectory, createHash("sha256").update(workTree).digest("hex").slice(0, 20));
}

/** Reads the entries of one work tree, newest first. One without a record is none. */
function readEntries(directory: string): JournalEntry[] {
  const names = readdirSync(directory).sort().reverse();
  return names.flatMap((name) => readEntry(join(directory, name)) ?? []);
}

function readEntry(directory: string): JournalEntry | undefined {
  try {
    const record = JSON.parse(readFileSync(join(directory, "journal.json"), "utf8")) as JournalRecord;
    return new JournalEntry(directory, record);
  } catch (error) {
    if (!["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    return undefined;
  }
}

/** What was broken off holds the only copy of files. */
function removeUnlessBroken(directory: string): void {
  const entry = readEntry(directory);
  if (entry?.record.state === "applied" || entry?.record.state === "ended") entry.remove();
}
