import { cutChars, MAX_ANSWER_BYTES } from "../../proto/index.ts";

/** What one line of Claude Code's output says of a step of Claude's own, not of a sub-agent's. */
export interface StepLine {
  readonly messageId: string;
  /** What Claude says in it. Empty: nothing. */
  readonly text: string;
  readonly usesTool: boolean;
}

/** Enough to tell that it was cut; whatever writes to us may write for ever. */
const MAX_CHARS = MAX_ANSWER_BYTES + 1;

/**
 * Keeps what Claude says in a turn, and knows which of it is the answer: all that it says in its last step that says
 * anything. A step that was cut goes on in the next one.
 */
export class TurnAnswer {
  #text = "";
  #messageId = "";
  /** The step may have been cut: it has used no tool since it said something. */
  #open = false;
  #goesOn = false;

  /** Takes the next line of a step. */
  add({ messageId, text, usesTool }: StepLine): void {
    if (text.trim() !== "") {
      const sameStep = messageId === this.#messageId;
      const before = sameStep ? `${this.#text}\n\n` : this.#goesOn ? this.#text : "";
      this.#text = cutChars(before + text, MAX_CHARS);
      this.#messageId = messageId;
      this.#open = true;
    }
    if (usesTool) this.#open = false;
    this.#goesOn = false;
  }

  /** Claude Code itself has told Claude to go on: where it was cut, if it was in the middle of something. */
  goOn(): void {
    this.#goesOn = this.#open;
  }

  /** What was said last is not to stand: the model's provider has stopped it. */
  takeBack(): void {
    this.#text = "";
    this.#open = false;
    this.#goesOn = false;
  }

  /**
   * Returns the answer of a turn whose result has this text: Claude Code puts the last block of the last step there,
   * which is nothing where all was said beside the last tool call.
   */
  whole(resultText: string): string {
    const said = this.#text;
    return resultText.trim() === "" || said.endsWith(resultText) ? said : resultText;
  }
}
