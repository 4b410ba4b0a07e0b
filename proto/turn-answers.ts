import type { AnswerPart, SessionEvent, TurnFinished } from "./gen/claudecluster/session/v1alpha1/session_event_pb.ts";

/** Most bytes of UTF-8 of an answer: more than any model writes at once. Longer ones are cut. */
export const MAX_ANSWER_BYTES = 2 * 1024 * 1024;

/** Most parts of one answer: an agent's parts are hardly ever smaller than a kilobyte. */
const MAX_PARTS = 2048;

/** Answer of Claude's. */
export interface TurnAnswer {
  text: string;
  /** Whether the text is only the start of the answer. */
  truncated: boolean;
  /** Number of the turn that it belongs to. 0: not known, or there is no answer. */
  turn: number;
}

/** Answer of a session that has none yet. */
export const NO_ANSWER: TurnAnswer = { text: "", truncated: false, turn: 0 };

/** Answers of a session's turns, put together from its events in their order. */
export class TurnAnswers {
  #parts: AnswerPart[] = [];
  #length = 0;

  /**
   * Takes the next part. The answer is lost if a part is missing, empty or more than announced; `of` then returns the
   * event's text.
   */
  add(part: AnswerPart): void {
    if (part.partIndex === 0) this.#clear();
    this.#length += part.text.length;
    // No agent sends more, nor nothing: this one means to fill its reader's memory.
    const refused = part.text === "" || part.partIndex >= part.partCount || this.#parts.length >= MAX_PARTS;
    if (refused || part.partIndex !== this.#parts.length || this.#length > MAX_ANSWER_BYTES) this.#clear();
    else this.#parts.push(part);
  }

  /** Returns the answer of a finished turn: whole if all its parts have come, otherwise as the event has it. */
  of({ turn, text, truncated }: TurnFinished): TurnAnswer {
    const last = this.#parts.at(-1);
    const whole = truncated && last?.turn === turn && last.partCount === this.#parts.length;
    const answer = whole
      ? { text: this.#parts.map((part) => part.text).join(""), truncated: last.truncated, turn }
      : { text, truncated, turn };
    this.#clear();
    return answer;
  }

  #clear(): void {
    this.#parts = [];
    this.#length = 0;
  }
}

/** Returns the answer of the first turn that finishes among events, which are those of its parts and its end; undefined where none does. */
export async function answerWithin(
  events: AsyncIterable<SessionEvent> | Iterable<SessionEvent>,
): Promise<TurnAnswer | undefined> {
  const answers = new TurnAnswers();
  for await (const { event } of events) {
    if (event.case === "answerPart") answers.add(event.value);
    if (event.case === "turnFinished") return answers.of(event.value);
  }
  return undefined;
}
