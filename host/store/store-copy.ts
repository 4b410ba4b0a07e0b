import { chmodSync, closeSync, existsSync, openSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { ArtifactKind } from "../../proto/index.ts";
import { forgetSession } from "./forget-session.ts";
import { storeError } from "./store-error.ts";

const FAILED = "The session store cannot be read.";

/** Artifact of a store, as its row has it. */
export interface CopiedArtifact {
  sessionId: string;
  kind: ArtifactKind;
  size: number;
  sha256: string;
}

/** Returns how many sessions the store in a file has. 0: there is none. Another process may use it. */
export function countSessions(path: string): number {
  if (!existsSync(path)) return 0;
  return read(path, (database) => Number(database.prepare("SELECT COUNT(*) AS count FROM session").get()!["count"]));
}

/** Copies a store's file as it is at one moment, for this user alone, while others go on writing. Throws as storeError. */
export function copyStore(from: string, to: string): void {
  rmSync(to, { force: true });
  closeSync(openSync(to, "wx", 0o600));
  read(from, (database) => database.prepare("VACUUM INTO ?").run(to));
  chmodSync(to, 0o600);
}

/** Returns the ids of the sessions of a store's file, and its artifacts that have bytes. */
export function listCopied(path: string): { sessionIds: Set<string>; artifacts: CopiedArtifact[] } {
  return read(path, (database) => {
    const ids = database.prepare("SELECT id FROM session").all();
    const rows = database.prepare(
      `SELECT session_id AS sessionId, kind, size_bytes AS size, lower(hex(sha256)) AS sha256 FROM artifact
       WHERE size_bytes > 0 AND EXISTS (SELECT 1 FROM session WHERE id = session_id) ORDER BY session_id, kind`,
    );
    return {
      sessionIds: new Set(ids.map(({ id }) => id as string)),
      artifacts: rows.all() as unknown as CopiedArtifact[],
    };
  });
}

/** Returns whether a database acts or computes by itself: no store has a trigger, a view or a virtual table. */
export function actsByItself(path: string): boolean {
  return read(path, (database) => {
    const found = database.prepare(
      "SELECT 1 FROM sqlite_schema WHERE type NOT IN ('table', 'index') OR sql LIKE 'CREATE VIRTUAL%' LIMIT 1",
    );
    return found.get() !== undefined;
  });
}

/** Returns an id in a store's file by which files are found, but that is no session's. Undefined: there is none. */
export function findStrangeId(path: string): string | undefined {
  return read(path, (database) => {
    const tables = ["SELECT id FROM session", "SELECT session_id FROM removed", "SELECT session_id FROM artifact"];
    const strange = `SELECT id FROM (${tables.join(" UNION ALL ")}) WHERE id NOT GLOB 'ses_?*' OR substr(id, 5) GLOB '*[^A-Za-z0-9]*'`;
    return database.prepare(`${strange} LIMIT 1`).get()?.["id"] as string | undefined;
  });
}

/** Forgets sessions in a copy: the host that opens it clears what is left of them. */
export function forgetCopied(path: string, sessionIds: readonly string[]): void {
  if (sessionIds.length === 0) return;
  const database = new DatabaseSync(path);
  try {
    database.exec("BEGIN");
    for (const id of sessionIds) forgetSession(database, id);
    database.exec("COMMIT");
  } finally {
    database.close();
  }
}

/**
 * Lets go of the containers of live sessions in a copy: they are another host's, which goes on with them. Returns how many there are.
 * The host that opens it ends these sessions with what they had changed. Those that are queued have none, and stay.
 */
export function releaseContainers(path: string): number {
  const database = new DatabaseSync(path);
  try {
    const release = database.prepare(
      `UPDATE session SET container_ref = json_set(container_ref, '$.version', 0)
       WHERE end_time_ms IS NULL AND container_ref IS NOT NULL`,
    );
    return Number(release.run().changes);
  } finally {
    database.close();
  }
}

/** Brings all of a store that nobody uses into its one file. */
export function makeOneFile(path: string): void {
  const database = new DatabaseSync(path);
  try {
    database.exec("PRAGMA busy_timeout = 5000; PRAGMA journal_mode = DELETE");
  } finally {
    database.close();
  }
}

function read<T>(path: string, run: (database: DatabaseSync) => T): T {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true });
    database.exec("PRAGMA busy_timeout = 5000");
    return run(database);
  } catch (error) {
    throw storeError(error, { path, failed: FAILED });
  } finally {
    database?.close();
  }
}
