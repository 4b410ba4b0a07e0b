import type { DatabaseSync, StatementSync } from "node:sqlite";
import { FileChange_Kind, type SessionEvent } from "../../proto/index.ts";
import type { DiffPlace } from "./session-store.ts";

/**
 * Table of the places of diffs in sessions' logs: one row for each file of a session, however often it has changed. It names
 * the newest whole diff, and the parts so far of the next one.
 */
export class DiffTable {
  readonly #begin: StatementSync;
  readonly #goOn: StatementSync;
  readonly #remove: StatementSync;
  readonly #ofSession: StatementSync;

  constructor(database: DatabaseSync) {
    this.#begin = database.prepare(
      `INSERT INTO diff VALUES (:session, :path, iif(:last, :sequence, NULL), iif(:last, :sequence, NULL), :sequence, 1)
       ON CONFLICT DO UPDATE SET
         first = coalesce(excluded.first, first),
         last = coalesce(excluded.last, last),
         next_first = excluded.next_first,
         next_count = 1`,
    );
    this.#goOn = database.prepare(
      `UPDATE diff SET
         first = iif(:last, next_first, first),
         last = iif(:last, :sequence, last),
         next_count = next_count + 1
       WHERE session_id = :session AND path = :path AND next_count = :part`,
    );
    this.#remove = database.prepare("DELETE FROM diff WHERE session_id = ? AND path = ?");
    this.#ofSession = database.prepare(
      `SELECT path, first AS firstSequence, last AS lastSequence FROM diff
       WHERE session_id = ? AND first IS NOT NULL ORDER BY path`,
    );
  }

  /** Notes an event that holds a part of a diff, and ignores others. Call it in the transaction that stores the event. */
  note(sessionId: string, { sequence, event }: SessionEvent): void {
    if (event.case !== "filePatched" || event.value.change === undefined) return;
    const { change, partIndex, partCount } = event.value;
    if (change.kind === FileChange_Kind.REVERTED) {
      this.#remove.run(sessionId, change.path);
      return;
    }
    const last = partIndex + 1 === partCount ? 1 : 0;
    const given = { session: sessionId, path: change.path, sequence, last };
    if (partIndex === 0) this.#begin.run(given);
    else this.#goOn.run({ ...given, part: partIndex });
  }

  /** See SessionStore.listDiffs. */
  ofSession(sessionId: string): DiffPlace[] {
    return this.#ofSession.all(sessionId) as unknown as DiffPlace[];
  }
}
