import { cutChars, MAX_ANSWER_BYTES } from "../../proto/index.ts";

/** Line of Claude Code's output about a step of Claude's own, not of a sub-agent's. */
export interface StepLine {
  /** Id of the step's message: lines of one step share it. */
  readonly messageId: string;
  /** Text that Claude says in it. Empty: none. */
  readonly text: string;
  readonly usesTool: boolean;
}

/** Enough to tell that it was cut; whatever writes to us may write for ever. */
const MAX_CHARS = MAX_ANSWER_BYTES + 1;

/**
 * Answer of a turn: all that Claude says in the last step in which it says anything. A step that was cut continues in
 * the next one.
 */
export class TurnAnswer {
  #text = "";
  #messageId = "";
  /** The step may have been cut: it has used no tool since it said something. */
  #open = false;
  #goesOn = false;

  /** Adds the next line of a step. */
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

  /** Notes that Claude Code told Claude to go on. The next text continues a step that was cut. */
  goOn(): void {
    this.#goesOn = this.#open;
  }

  /** Drops what was said last: the model's provider has stopped it. */
  takeBack(): void {
    this.#text = "";
    this.#open = false;
    this.#goesOn = false;
  }

  /**
   * Returns the whole answer. `resultText` is the text of the turn's result: the last block of the last step, or
   * nothing if that step only used tools.
   */
  whole(resultText: string): string {
    const said = this.#text;
    return resultText.trim() === "" || said.endsWith(resultText) ? said : resultText;
  }
}
