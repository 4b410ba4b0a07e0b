import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { create } from "@bufbuild/protobuf";
import {
  AssistantTextSchema,
  type ArtifactKind,
  type EventBody,
  type ReadableArtifact,
  SessionFinishedSchema,
  Session_State,
  StateChangedSchema,
} from "../../proto/index.ts";
import type { NewEvent, SessionStore } from "../../host/store/session-store.ts";

/** A directory for one test, and the path that a host gives its store in it. */
export function temporaryStore(): Disposable & { directory: string; path: string } {
  const directory = mkdtempSync(join(tmpdir(), "claudecluster-store-"));
  const path = join(directory, "state", "sessions.db");
  return { directory, path, [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
}

/** A new session without events. */
export const NEW = { container: "{}", events: [] };
/** The signal of somebody who waits for ever. */
export const never = new AbortController().signal;

/** Something that Claude said, as an event of the agent with its number. */
export function said(text: string, agentSequence?: number): NewEvent {
  const event: EventBody = { case: "assistantText", value: create(AssistantTextSchema, { text }) };
  return { event, occurTimeMs: 1000, ...(agentSequence !== undefined && { agentSequence }) };
}

/** The session is in another state. */
export function entered(state: Session_State, agentSequence?: number): NewEvent {
  const event: EventBody = { case: "stateChanged", value: create(StateChangedSchema, { state }) };
  return { event, occurTimeMs: 2000, ...(agentSequence !== undefined && { agentSequence }) };
}

/** The last event, at a time, of a session that has changed some files. */
export function finished(occurTimeMs = 3000, changeCount = 0): NewEvent {
  const value = create(SessionFinishedSchema, { state: Session_State.SUCCEEDED, result: { changeCount } });
  return { event: { case: "sessionFinished", value }, occurTimeMs };
}

/** Stores an artifact of a session, which counts once `putLeft` names it. */
export async function storeArtifact(
  store: SessionStore,
  { sessionId, kind, bytes }: { sessionId: string; kind: ArtifactKind; bytes: Uint8Array },
): Promise<ReadableArtifact> {
  await using incoming = await store.left.createArtifact(sessionId, kind);
  await incoming.append(bytes);
  return await incoming.complete();
}

/** Reads a whole artifact. */
export async function readWhole(stored: ReadableArtifact, offset = 0): Promise<Buffer> {
  return await buffer(stored.read({ offset }));
}
