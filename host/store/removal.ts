import type { ArtifactKind } from "../../proto/index.ts";
import { rest } from "../sleep.ts";
import type { ArtifactFiles } from "./artifact-files.ts";
import { forgetSession } from "./forget-session.ts";
import type { Pruned } from "./session-store.ts";
import type { StoreFile } from "./store-file.ts";

/** Events that are removed in one go: some ten milliseconds if they are large. */
const EVENTS = 64;
/** Pages that are given back in one go. */
const PAGES = 128;
/** Between them, so that the disk is not all theirs. */
const PAUSE_MS = 1;

/**
 * Removal of finished sessions, which gives their room back to the disk in small steps between which the host does other
 * work. A session is gone at once. If its removal is broken off, the next one clears what is left.
 */
export class Removal {
  readonly #file: StoreFile;
  readonly #files: ArtifactFiles;
  readonly #onForgotten: (sessionId: string) => void;

  constructor(file: StoreFile, files: ArtifactFiles, onForgotten: (sessionId: string) => void) {
    this.#file = file;
    this.#files = files;
    this.#onForgotten = onForgotten;
  }

  /** Forgets a session: from now on there is none with that id. Its rows and files stay until `clear`. */
  forget(sessionId: string): void {
    const failed = `Session ${sessionId} could not be deleted.`;
    this.#file.write({ failed }, () => forgetSession(this.#file.database, sessionId));
    this.#onForgotten(sessionId);
  }

  /** Clears the rows and files of forgotten sessions, and gives free room back. Stops early if the file is closed. */
  async clear(): Promise<void> {
    const { database } = this.#file;
    const failed = "Deleted sessions could not be cleared.";
    const next = database.prepare("SELECT session_id FROM removed LIMIT 1");
    const removeEvents = database.prepare(
      `DELETE FROM event WHERE session_id = ? AND sequence IN
       (SELECT sequence FROM event WHERE session_id = ? ORDER BY sequence LIMIT ${EVENTS})`,
    );
    const artifacts = database.prepare("SELECT kind FROM artifact WHERE session_id = ?");
    const removeArtifacts = database.prepare("DELETE FROM artifact WHERE session_id = ?");
    const removeResult = database.prepare("DELETE FROM result WHERE session_id = ?");
    const removeRequests = database.prepare("DELETE FROM request WHERE session_id = ?");
    const removeUserFiles = database.prepare("DELETE FROM user_files WHERE session_id = ?");
    const removeDiffs = database.prepare("DELETE FROM diff WHERE session_id = ?");
    const done = database.prepare("DELETE FROM removed WHERE session_id = ?");
    for (;;) {
      const sessionId = this.#file.read(() => next.get())?.["session_id"] as string | undefined;
      if (sessionId === undefined) break;
      const removed = this.#file.write({ failed }, () => removeEvents.run(sessionId, sessionId).changes);
      if (removed === 0) {
        for (const { kind } of this.#file.read(() => artifacts.all(sessionId))) {
          await this.#files.remove({ sessionId, kind: kind as ArtifactKind });
        }
        if (!this.#file.isOpen) return;
        // Last, since they say which files there are.
        this.#file.write({ failed }, () => {
          for (const remove of [removeArtifacts, removeResult, removeRequests, removeUserFiles, removeDiffs, done])
            remove.run(sessionId);
        });
      }
      await rest(PAUSE_MS);
      if (!this.#file.isOpen) return;
    }
    while (this.#file.shrink({ pages: PAGES })) {
      await rest(PAUSE_MS);
      if (!this.#file.isOpen) return;
    }
  }

  /**
   * Removes the sessions that ended before a time, then the oldest until rows and artifacts fit into `maxBytes`. Those with
   * changes that nobody has taken stay.
   */
  async prune({ endedBeforeMs, maxBytes }: { endedBeforeMs: number; maxBytes: number }): Promise<Pruned> {
    const { database } = this.#file;
    const oldest = database.prepare(
      "SELECT id, end_time_ms FROM session WHERE untaken = 0 AND end_time_ms IS NOT NULL ORDER BY end_time_ms, id LIMIT 1",
    );
    const before = this.usedBytes();
    const sessionIds: string[] = [];
    while (this.#file.isOpen) {
      const row = this.#file.read(() => oldest.get());
      if (row === undefined) break;
      if (Number(row["end_time_ms"]) >= endedBeforeMs && this.usedBytes() <= maxBytes) break;
      const sessionId = row["id"] as string;
      this.forget(sessionId);
      sessionIds.push(sessionId);
      await this.clear();
    }
    // Also what a removal that was broken off has left.
    if (this.#file.isOpen) await this.clear();
    const after = this.#file.isOpen ? this.usedBytes() : before;
    return { sessionIds, freedBytes: Math.max(0, before - after), excessBytes: Math.max(0, after - maxBytes) };
  }

  /** Returns the bytes of all rows and artifacts. */
  usedBytes(): number {
    const inFiles = this.#file.read(() =>
      this.#file.database.prepare("SELECT COALESCE(SUM(size_bytes), 0) AS bytes FROM artifact").get(),
    );
    const pages = this.#pragma("page_count") - this.#pragma("freelist_count");
    return pages * this.#pragma("page_size") + Number(inFiles!["bytes"]);
  }

  #pragma(name: string): number {
    return this.#file.read(() => Number(this.#file.database.prepare(`PRAGMA ${name}`).get()![name]));
  }
}
