import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { CallToolResult } from "@modelcontextprotocol/server";
import type { Session } from "../../proto/index.ts";
import { type Wait, waitId } from "./wait.ts";

/** Time between two looks that is proposed to clients (ms). */
const POLL_MS = 1_000;

/** Returns the answer that makes a task of a call: a wait, known by its id. */
export function createTask(wait: Wait, sessions: readonly Session[]): CallToolResult {
  const statusMessage = sessions.map(({ id }) => `session ${id}`).join(", ");
  const task = { resultType: "task", ...taskFacts(wait, sessions), status: "working", statusMessage };
  return task as unknown as CallToolResult;
}

/** Returns what every answer about a task holds. */
export function taskFacts(wait: Wait, sessions: readonly Session[]) {
  const ends = sessions.map(({ endTime }) => (endTime === undefined ? Date.now() : timestampMs(endTime)));
  return {
    taskId: waitId(wait),
    createdAt: isoTime(wait.beginMs),
    lastUpdatedAt: isoTime(Math.max(wait.beginMs, ...ends)),
    // As long as the sessions, which their retention decides.
    ttlMs: null,
    pollIntervalMs: POLL_MS,
  };
}

/** A time in ISO 8601; a client may have made up its own. */
function isoTime(ms: number): string {
  return new Date(Math.min(ms, 8.64e15)).toISOString();
}
