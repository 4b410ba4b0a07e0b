import { checkMessage, checkMessageRoom, Notifier, sessionEnded } from "../../proto/index.ts";

/** Message of a user's that waits for its turn. */
export interface QueuedMessage {
  readonly text: string;
  readonly messageId: string;
}

/** Messages for Claude, in order. Each id counts once. */
export class MessageQueue {
  readonly #maxCount: number;
  readonly #waiting: QueuedMessage[] = [];
  readonly #seenIds = new Set<string>();
  #count = 0;
  #closed = false;
  readonly #added = new Notifier();

  /** Sets how many messages it takes in all. 0, the default: any number. */
  constructor({ maxCount = 0 }: { maxCount?: number } = {}) {
    this.#maxCount = maxCount;
  }

  /** Number of messages that wait. */
  get length(): number {
    return this.#waiting.length;
  }

  /**
   * Adds a message. Returns false, and ignores it, if its id was seen before. Throws SESSION_ENDED, TURN_LIMIT_REACHED,
   * MESSAGE_EMPTY, MESSAGE_TOO_LONG, MESSAGE_ID_INVALID, QUEUE_FULL.
   */
  add(text: string, messageId: string): boolean {
    if (messageId !== "" && this.#seenIds.has(messageId)) return false;
    if (this.#closed) throw sessionEnded();
    checkMessage({ text, messageId });
    checkMessageRoom({ taken: this.#count, waiting: this.#waiting.length, maxCount: this.#maxCount });
    this.#seenIds.add(messageId);
    this.#waiting.push({ text, messageId });
    this.#count += 1;
    this.#added.notify();
    return true;
  }

  /** Returns the oldest message and removes it. Undefined: none waits. */
  take(): QueuedMessage | undefined {
    return this.#waiting.shift();
  }

  /** Resolves when a message waits, or when the signal is aborted. */
  async filled(signal: AbortSignal): Promise<void> {
    if (this.#waiting.length === 0) await this.#added.next({ signal });
  }

  /** Refuses every message from here on: the session is ending. */
  close(): void {
    this.#closed = true;
  }
}
