import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fromBinary } from "@bufbuild/protobuf";
import { type SessionEvent, SessionEventSchema } from "../../proto/index.ts";

/** An event of a host's log; with the agent's number if it came from there. */
export interface StoredEvent {
  event: SessionEvent;
  agentSequence: number | undefined;
}

/** Reads a session's log from the host's file, past the host. */
export function readStoredLog(stateDirectory: string, sessionId: string): StoredEvent[] {
  const database = new DatabaseSync(join(stateDirectory, "sessions.db"), { readOnly: true });
  try {
    const rows = database
      .prepare("SELECT agent_sequence, data FROM event WHERE session_id = ? ORDER BY sequence")
      .all(sessionId);
    return rows.map((row) => ({
      event: fromBinary(SessionEventSchema, row["data"] as Uint8Array),
      agentSequence: (row["agent_sequence"] as number | null) ?? undefined,
    }));
  } finally {
    database.close();
  }
}
