import assert from "node:assert/strict";
import type {
  AttachResponse,
  EventBody,
  Hello,
  RequestRefused,
  SessionEvent,
  WatchEventsResponse,
} from "../../proto/index.ts";

type Response = AttachResponse["response"] | WatchEventsResponse["response"];
type Kind = EventBody["case"];
type Value<C extends Kind> = Extract<EventBody, { case: C }>["value"];

/** Reads a stream of Attach or WatchEvents to its end, keeps all of it, and lets others wait for parts of it. */
export class EventReader {
  readonly events: SessionEvent[] = [];
  readonly refusals: RequestRefused[] = [];
  /** What kind of message came first. */
  first: string | undefined;
  hello: Hello | undefined;
  heartbeats = 0;
  /** Resolves when the stream has ended well, rejects as it has failed. */
  readonly done: Promise<void>;
  #over = false;
  readonly #looks = new Set<() => void>();
  readonly #onEvents: (events: readonly SessionEvent[]) => void;

  constructor(
    messages: AsyncIterable<{ response: Response }>,
    { onEvents = () => {} }: { onEvents?: (events: readonly SessionEvent[]) => void } = {},
  ) {
    this.#onEvents = onEvents;
    this.done = this.#read(messages);
    this.done.catch(() => {});
  }

  /** The numbers of the events, as they came. */
  get sequences(): number[] {
    return this.events.map(({ sequence }) => sequence);
  }

  /** Every event of a kind so far. */
  all<C extends Kind>(kind: C): Value<C>[] {
    return this.events.flatMap(({ event }) => (event.case === kind ? [event.value as Value<C>] : []));
  }

  /** Resolves with the first event, past or future, of the kind for which the predicate holds. */
  event<C extends Kind>(kind: C, matches: (value: Value<C>) => boolean = () => true): Promise<Value<C>> {
    return this.until(kind, () => this.all(kind).find(matches));
  }

  /** Resolves once `look` has found something. Rejects if the stream ends before. */
  until<T>(what: string, look: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const check = () => {
        const found = look();
        if (found === undefined && !this.#over) return;
        this.#looks.delete(check);
        if (found !== undefined) return resolve(found);
        const seen = this.events.map(({ event }) => event.case).join(" ");
        reject(new assert.AssertionError({ message: `the stream ended without ${what}; it had: ${seen}` }));
      };
      this.#looks.add(check);
      check();
    });
  }

  async #read(messages: AsyncIterable<{ response: Response }>): Promise<void> {
    try {
      for await (const { response } of messages) {
        this.first ??= response.case ?? "a message without content";
        this.#take(response);
        this.#look();
      }
    } finally {
      this.#over = true;
      this.#look();
    }
  }

  #take(response: Response): void {
    switch (response.case) {
      case "hello":
        this.hello ??= response.value;
        return;
      case "events":
        this.events.push(...response.value.events);
        return this.#onEvents(response.value.events);
      case "heartbeat":
        this.heartbeats++;
        return;
      case "requestRefused":
        this.refusals.push(response.value);
        return;
      case undefined:
        return;
      default:
        // What a later version says; readers skip it.
        response satisfies never;
    }
  }

  #look(): void {
    for (const look of [...this.#looks]) look();
  }
}
