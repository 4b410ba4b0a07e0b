import { type FileChange, FileChange_Kind, type SessionEvent } from "../../../proto/index.ts";
import { type PatchedFile, PatchParser } from "./patch.ts";

const KINDS: Partial<Record<FileChange_Kind, PatchedFile["kind"]>> = {
  [FileChange_Kind.ADDED]: "added",
  [FileChange_Kind.DELETED]: "deleted",
  [FileChange_Kind.RENAMED]: "renamed",
};

/** Changed files of a session while it runs: its patch at some point, and what its events said after that. */
export class LiveChanges {
  readonly #files = new Map<string, PatchedFile>();
  /** The parts so far of diffs that have not come whole. */
  readonly #parts = new Map<string, Uint8Array[]>();

  /** All files, as they are now. Another array each time. */
  get files(): PatchedFile[] {
    return [...this.#files.values()];
  }

  /** Takes the place of everything before. */
  replace(files: readonly PatchedFile[]): void {
    this.#files.clear();
    this.#parts.clear();
    for (const file of files) this.#files.set(file.path, file);
  }

  /** Takes an event; returns whether it has changed something. */
  add({ event }: Pick<SessionEvent, "event">): boolean {
    if (event.case === "changesUpdated") {
      // The diffs of a look come before its list: what has none is too large for one.
      const without = event.value.changes.filter(({ path }) => !this.#files.has(path));
      for (const change of without) this.#files.set(change.path, withoutDiff(change));
      return without.length > 0;
    }
    if (event.case !== "filePatched" || event.value.change === undefined) return false;
    const { change, patch, partIndex, partCount } = event.value;
    if (change.kind === FileChange_Kind.REVERTED) {
      this.#parts.delete(change.path);
      return this.#files.delete(change.path);
    }
    const parts = partIndex === 0 ? [] : this.#parts.get(change.path);
    if (parts?.length !== partIndex) return false;
    parts.push(patch);
    this.#parts.set(change.path, parts);
    if (parts.length < partCount) return false;
    this.#parts.delete(change.path);
    const parser = new PatchParser();
    for (const each of parts) parser.push(each);
    const file = parser.end().find(({ path }) => path === change.path) ?? withoutDiff(change);
    this.#files.set(change.path, file);
    return true;
  }
}

/** A file of whose change is known how large it is, and no more. */
function withoutDiff({ path, previousPath, kind, binary, sizeBytes, ...counts }: FileChange): PatchedFile {
  return {
    path,
    previousPath,
    kind: KINDS[kind] ?? "modified",
    oldMode: "",
    newMode: "",
    binary,
    sizeBytes: binary ? Number(sizeBytes) : undefined,
    addedLines: counts.addedLineCount,
    deletedLines: counts.deletedLineCount,
    hunks: [],
    lines: [],
    cut: counts.addedLineCount + counts.deletedLineCount > 0,
  };
}
