import { readFileSync } from "node:fs";
import { fromJsonString } from "@bufbuild/protobuf";
import { type SessionEvent, SessionEventSchema } from "../../proto/index.ts";

const RECORDING = new URL("../../host/page/session/recordings/everything.jsonl", import.meta.url);

/**
 * Returns the events of a real session, as `watch --json` prints them: a setup, permissions given and refused, a question
 * answered, tools side by side, a connection refused, a turn interrupted, a message that waited, and a stop.
 */
export function recordedSession(): SessionEvent[] {
  const lines = readFileSync(RECORDING, "utf8").trim().split("\n");
  return lines.map((line) => fromJsonString(SessionEventSchema, line));
}
