import type { DatabaseSync } from "node:sqlite";

/**
 * Forgets a session, in the caller's transaction: there is none with that id any more. Its rows and files stay, and are cleared by the
 * host that has the store. What is known of its usage goes on telling what it was.
 */
export function forgetSession(database: DatabaseSync, sessionId: string): void {
  database.prepare("INSERT OR IGNORE INTO removed (session_id) VALUES (?)").run(sessionId);
  database
    .prepare(
      `INSERT OR IGNORE INTO past_session SELECT id, repository, state, caller FROM session
       WHERE id = ? AND EXISTS (SELECT 1 FROM model_usage WHERE session_id = session.id)`,
    )
    .run(sessionId);
  database.prepare("DELETE FROM session WHERE id = ?").run(sessionId);
}
