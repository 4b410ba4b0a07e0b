import type { DatabaseSync, StatementSync } from "node:sqlite";
import { ENTRY_BYTES } from "./live-session.ts";

/** Prepares what is asked of the tables of sessions and events, once for each store. */
export function prepareStatements(database: DatabaseSync) {
  const prepare = (sql: string): StatementSync => database.prepare(sql);
  return {
    insertSession: prepare("INSERT INTO session (id, snapshot, request_id, container) VALUES (?, ?, ?, ?)"),
    updateSession: prepare(
      `UPDATE session SET snapshot = ?, last_agent_sequence = ?, state = ?, parent = ?, repository = ?, caller = ?
       WHERE id = ?`,
    ),
    // What is in an index is set once: SQLite writes an index anew for a value that stays the same too.
    endSession: prepare("UPDATE session SET end_time_ms = ?, untaken = ? WHERE id = ?"),
    markTaken: prepare("UPDATE session SET taken = ?, untaken = ? WHERE id = ?"),
    getSession: prepare("SELECT id, snapshot, last_agent_sequence, end_time_ms, taken FROM session WHERE id = ?"),
    findByRequest: prepare("SELECT id FROM session WHERE request_id = ?"),
    getContainer: prepare("SELECT container, container_ref FROM session WHERE id = ?"),
    putUserFiles: prepare("INSERT INTO user_files (session_id, data) VALUES (?, ?)"),
    getUserFiles: prepare("SELECT data FROM user_files WHERE session_id = ?"),
    putContainerRef: prepare("UPDATE session SET container_ref = ? WHERE id = ?"),
    listLive: prepare("SELECT id FROM session WHERE end_time_ms IS NULL ORDER BY id"),
    listLiveRefs: prepare("SELECT container_ref FROM session WHERE end_time_ms IS NULL AND container_ref IS NOT NULL"),
    insertEvent: prepare("INSERT INTO event (session_id, sequence, agent_sequence, data) VALUES (?, ?, ?, ?)"),
    // A session that is being removed has none.
    readEvents: prepare(
      `SELECT data FROM event
       WHERE session_id = ? AND sequence > ? AND EXISTS (SELECT 1 FROM session WHERE id = ?)
       ORDER BY sequence LIMIT ?`,
    ),
    newestEvent: prepare("SELECT sequence FROM event WHERE session_id = ? ORDER BY sequence DESC LIMIT 1"),
    newestOfAgent: prepare(
      `SELECT agent_sequence FROM event WHERE session_id = ? AND agent_sequence IS NOT NULL
       ORDER BY sequence DESC LIMIT 1`,
    ),
    largestUntaken: prepare(
      `SELECT id, (SELECT COALESCE(SUM(LENGTH(data)), 0) FROM event WHERE session_id = id) +
         (SELECT COALESCE(SUM(size_bytes), 0) FROM artifact WHERE session_id = id) AS bytes
       FROM session WHERE untaken = 1 ORDER BY bytes DESC LIMIT ?`,
    ),
    countBytes: prepare(
      `SELECT COALESCE(SUM(LENGTH(data) + ${ENTRY_BYTES}), 0) AS bytes FROM event WHERE session_id = ?`,
    ),
  };
}
