import type { AnswerPart, TurnFinished } from "./gen/claudecluster/session/v1alpha1/session_event_pb.ts";

/** The longest answer that is kept; longer ones are cut (bytes of UTF-8). No model writes as much at once. */
export const MAX_ANSWER_BYTES = 2 * 1024 * 1024;

/** Most parts of one answer: an agent's parts are hardly ever smaller than a kilobyte. */
const MAX_PARTS = 2048;

/** An answer of Claude's, and whether it is only the start of it. */
export interface TurnAnswer {
  text: string;
  truncated: boolean;
  /** Which turn's it is. 0: not known, or there is none. */
  turn: number;
}

/** No answer has been given. */
export const NO_ANSWER: TurnAnswer = { text: "", truncated: false, turn: 0 };

/** Puts together the answers of a session's turns from its events, in their order. */
export class TurnAnswers {
  #parts: AnswerPart[] = [];
  #length = 0;

  /** Takes the next part. One that does not follow the part before, is empty or one more than was said spoils the answer. */
  add(part: AnswerPart): void {
    if (part.partIndex === 0) this.#clear();
    this.#length += part.text.length;
    // No agent sends more, nor nothing: this one means to fill its reader's memory.
    const refused = part.text === "" || part.partIndex >= part.partCount || this.#parts.length >= MAX_PARTS;
    if (refused || part.partIndex !== this.#parts.length || this.#length > MAX_ANSWER_BYTES) this.#clear();
    else this.#parts.push(part);
  }

  /** Returns the answer of a turn that has finished: whole if all its parts have come, otherwise as its event has it. */
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
