import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { AppError, type Failure, SessionRestoredSchema, type SessionRestored, cutFailure } from "../../proto/index.ts";
import type { Opening } from "../claude/opening.ts";
import type { Conversation } from "../claude/conversation.ts";
import { failureOf } from "./outcome.ts";
import type { Restore } from "./incoming-artifacts.ts";
import type { SessionPlace } from "./session-place.ts";

/** Conversation to continue, if any, and how to start Claude. */
export interface OpeningOptions {
  /** State that the session continues. Undefined: it continues none. */
  restore: Restore | undefined;
  previousSessionId: string;
  place: Pick<SessionPlace, "writeTranscript">;
  cwd: string;
  signal: AbortSignal;
  /** Starts Claude with this opening. */
  start(opening: Opening): Promise<Conversation>;
  /** Called with what was restored of the session before. */
  onRestored(restored: SessionRestored): void;
}

/**
 * Starts Claude, in the conversation that the session continues. If that cannot be resumed, Claude begins a new one:
 * the session is worth more than its memory, and Claude and watchers are told. Throws what `start` throws.
 */
export async function openConversation(options: OpeningOptions): Promise<Conversation> {
  const { restore, previousSessionId, start, onRestored } = options;
  if (restore === undefined) return await start({ conversationId: randomUUID() });
  const fields = { previousSessionId, patchSizeBytes: BigInt(restore.patch.length) };
  let conversation: Conversation;
  let conversationFailure: Failure | undefined;
  try {
    conversation = await resume(restore, options);
  } catch (error) {
    options.signal.throwIfAborted();
    conversationFailure = failureOf(error);
    conversation = await start({ conversationId: randomUUID(), earlier: "lost" });
  }
  const conversationRestored = conversationFailure === undefined;
  onRestored(
    create(SessionRestoredSchema, {
      ...fields,
      conversationRestored,
      ...(conversationFailure !== undefined && { conversationFailure: cutFailure(conversationFailure) }),
    }),
  );
  return conversation;
}

async function resume(restore: Restore, { place, cwd, signal, start }: OpeningOptions): Promise<Conversation> {
  const { conversationId, transcript } = restore;
  if (conversationId === "" || transcript.length === 0) {
    throw new AppError("TRANSCRIPT_MISSING", "The session before left no transcript of its conversation.");
  }
  await place.writeTranscript(conversationId, transcript, { cwd, signal });
  return await start({ conversationId, earlier: "resumed" });
}
