import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  AnswerPartSchema,
  cutText,
  type EventBody,
  MAX_ANSWER_BYTES,
  MessageQueuedSchema,
  TurnFinishedSchema,
  TurnStartedSchema,
  type Usage,
  type UserFile,
  UserFilesCopiedSchema,
  cutFailure,
} from "../../proto/index.ts";
import type { QueuedMessage } from "./message-queue.ts";
import type { TurnOutcome } from "./outcome.ts";

/** What an event may hold of what was said. */
const TEXT_BYTES = 32 * 1024;
/** As many files does an event name. */
const MAX_PATHS = 100;

/** Returns the event for the user's own files being in place. */
export function userFilesCopied(files: readonly UserFile[]): EventBody {
  const value = create(UserFilesCopiedSchema, {
    fileCount: files.length,
    sizeBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0n),
    paths: files.slice(0, MAX_PATHS).map(({ path }) => path),
  });
  return { case: "userFilesCopied", value };
}

/** Returns the event for a message that waits for its turn. */
export function messageQueued(messageId: string, waitingCount: number): EventBody {
  return { case: "messageQueued", value: create(MessageQueuedSchema, { messageId, waitingCount }) };
}

/** Returns the event for the start of a turn, its message cut. */
export function turnStarted(turn: number, message: QueuedMessage): EventBody {
  const { text, truncated } = cutText(message.text, TEXT_BYTES);
  const value = create(TurnStartedSchema, { turn, text, truncated, messageId: message.messageId });
  return { case: "turnStarted", value };
}

/** Returns the events of an answer that is too long for its turn's last event. A shorter one has none. */
export function answerParts(turn: number, said: string): EventBody[] {
  if (!cutText(said, TEXT_BYTES).truncated) return [];
  const { text: whole, truncated } = cutText(said, MAX_ANSWER_BYTES);
  const texts: string[] = [];
  for (let rest = whole; rest !== ""; rest = rest.slice(texts.at(-1)!.length))
    texts.push(cutText(rest, TEXT_BYTES).text);
  return texts.map((text, partIndex) => {
    const value = create(AnswerPartSchema, { turn, text, partIndex, partCount: texts.length, truncated });
    return { case: "answerPart", value };
  });
}

/** Returns the event for the end of a turn, its answer cut. */
export function turnFinished(
  turn: number,
  facts: { outcome: TurnOutcome; said: string; elapsedMs: number; usage: Usage },
): EventBody {
  const { failure, interrupted } = facts.outcome;
  const { text, truncated } = cutText(facts.said, TEXT_BYTES);
  const elapsed = durationFromMs(Math.round(facts.elapsedMs));
  const fields = { turn, interrupted, text, truncated, elapsed, usage: facts.usage };
  const value = create(TurnFinishedSchema, {
    ...fields,
    ...(failure !== undefined && { failure: cutFailure(failure) }),
  });
  return { case: "turnFinished", value };
}
