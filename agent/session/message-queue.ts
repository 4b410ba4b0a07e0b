import { AppError, type ErrorReason, MAX_TASK_BYTES, Notifier } from "../../proto/index.ts";

/** A user message that waits for its turn. */
export interface QueuedMessage {
  readonly text: string;
  readonly messageId: string;
}

/** More is a loop that has gone wild. */
const MAX_WAITING = 100;
const MAX_ID_LENGTH = 128;

/** The messages for Claude, in order. Each id counts once. */
export class MessageQueue {
  readonly #maxCount: number;
  readonly #waiting: QueuedMessage[] = [];
  readonly #seenIds = new Set<string>();
  #count = 0;
  #closed = false;
  readonly #added = new Notifier();

  /** Takes at most `maxCount` messages in all; 0: any number. */
  constructor({ maxCount = 0 }: { maxCount?: number } = {}) {
    this.#maxCount = maxCount;
  }

  /** How many wait. */
  get length(): number {
    return this.#waiting.length;
  }

  /** Ignores a message whose id was seen before, and returns false. Throws for one that cannot be taken. */
  add(text: string, messageId: string): boolean {
    if (messageId !== "" && this.#seenIds.has(messageId)) return false;
    if (this.#closed) throw sessionEnded();
    if (this.#maxCount > 0 && this.#count >= this.#maxCount) throw turnLimit(this.#maxCount);
    if (text.trim() === "") throw invalid("MESSAGE_EMPTY", "The message is empty.");
    const bytes = Buffer.byteLength(text);
    if (bytes > MAX_TASK_BYTES) {
      throw invalid("MESSAGE_TOO_LONG", `The message has ${bytes} bytes; at most ${MAX_TASK_BYTES} are possible.`);
    }
    if (messageId.length > MAX_ID_LENGTH) {
      throw invalid("MESSAGE_ID_INVALID", `The message's id has more than ${MAX_ID_LENGTH} characters.`);
    }
    if (this.#waiting.length >= MAX_WAITING) {
      throw new AppError("QUEUE_FULL", `${MAX_WAITING} messages are waiting already.`, {
        retryable: true,
        help: "Wait for a turn to finish.",
      });
    }
    this.#seenIds.add(messageId);
    this.#waiting.push({ text, messageId });
    this.#count += 1;
    this.#added.notify();
    return true;
  }

  /** Takes the oldest message. */
  take(): QueuedMessage | undefined {
    return this.#waiting.shift();
  }

  /** Resolves when there is a message, or with the signal. */
  async filled(signal: AbortSignal): Promise<void> {
    if (this.#waiting.length === 0) await this.#added.next({ signal });
  }

  /** Refuses everything from here on: the session is ending. */
  close(): void {
    this.#closed = true;
  }
}

function sessionEnded(): AppError {
  return new AppError("SESSION_ENDED", "The session is ending or over and takes no more messages.", {
    help: "Continue it with a new session.",
  });
}

function turnLimit(maxCount: number): AppError {
  return new AppError("TURN_LIMIT_REACHED", `The session takes ${maxCount} messages, and has them.`, {
    metadata: { max_turn_count: String(maxCount) },
    help: "Allow more with max_turn_count, or continue it with a new session.",
  });
}

function invalid(reason: ErrorReason, message: string): AppError {
  return new AppError(reason, message, { kind: "INVALID_ARGUMENT" });
}
