import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import {
  AppError,
  type Failure,
  type SessionSpec,
  SessionRestoredSchema,
  type SessionRestored,
  cutFailure,
} from "../../proto/index.ts";
import type { Opening } from "../claude/opening.ts";
import type { Conversation } from "../claude/conversation.ts";
import { failureOf } from "./outcome.ts";
import type { Restore } from "./incoming-artifacts.ts";
import type { SessionPlace } from "./session-place.ts";

/** Conversation to continue, if any, and how to start Claude. */
export interface OpeningOptions {
  /** State that the session continues. Undefined: it continues none. */
  restore: Restore | undefined;
  spec: Pick<SessionSpec, "previousSessionId" | "afterSessionId">;
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
 * the session is worth more than its memory, and Claude and watchers are told. One that only follows another has its own. Throws what `start` throws.
 */
export async function openConversation(options: OpeningOptions): Promise<Conversation> {
  const { restore, spec, start, onRestored } = options;
  if (restore === undefined) return await start({ conversationId: randomUUID() });
  const patchSizeBytes = BigInt(restore.patch.length);
  if (spec.afterSessionId !== "") {
    const conversation = await start({ conversationId: randomUUID(), earlier: "other" });
    onRestored(create(SessionRestoredSchema, { previousSessionId: spec.afterSessionId, patchSizeBytes }));
    return conversation;
  }
  const fields = { previousSessionId: spec.previousSessionId, patchSizeBytes };
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
