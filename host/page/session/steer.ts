import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { isFinal, Session_State as State } from "../../../proto/index.ts";
import { sessionService } from "../client.ts";
import { commonStyle } from "../parts/common-style.ts";
import { plainText } from "../parts/plain-text.ts";
import { Call } from "./call.ts";

/** What somebody can say to a session that lives: a message, to interrupt its turn, to stop. */
@customElement("cc-steer")
export class Steer extends LitElement {
  static override styles = [
    commonStyle,
    css`
      :host {
        display: block;
      }
      form {
        display: grid;
        gap: 0.4rem;
      }
      textarea {
        inline-size: 100%;
        min-block-size: 3.5rem;
        resize: vertical;
      }
      .buttons {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0.4rem;
      }
      .space {
        flex: 1;
      }
      p {
        margin: 0;
      }
    `,
  ];
  @property({ attribute: false }) accessor sessionId = "";
  @property({ attribute: false }) accessor state: State = State.UNSPECIFIED;
  @state() private accessor text = "";
  @state() private accessor asksToStop = false;
  @state() private accessor said = "";
  @query("#stop") private accessor stopButton!: HTMLButtonElement | null;
  @query("#keep") private accessor keepButton!: HTMLButtonElement | null;
  readonly #call = new Call(this);
  /** Kept while a message is tried again, so that it is said once. */
  #messageId = "";

  override render(): TemplateResult {
    const { state } = this;
    if (isFinal(state)) return html``;
    const { runs, problem } = this.#call;
    const working = state === State.RUNNING || state === State.WAITING;
    const stopping = state === State.STOPPING;
    return html`<form @submit=${this.#send}>
      <label for="message">Message to Claude</label>
      <textarea
        id="message"
        rows="2"
        .value=${this.text}
        ?disabled=${stopping}
        @input=${this.#onText}
        @keydown=${this.#onKey}
      ></textarea>
      <div class="buttons">
        <button ?disabled=${runs || stopping || this.text.trim() === ""}>Send</button>
        <span class="quiet">${working ? "It is read when this turn is done." : "Ctrl+Enter sends."}</span>
        <span class="space"></span>
        <button type="button" ?disabled=${runs || !working} @click=${this.#interrupt}>Interrupt</button>
        ${
          this.asksToStop
            ? html`<span role="group" aria-label="Stop the session?"
                >Its changes are kept.
                <button type="button" ?disabled=${runs} @click=${this.#stop}>Stop it</button>
                <button type="button" id="keep" @click=${() => this.#askToStop(false)}>Go on</button></span
              >`
            : html`<button type="button" id="stop" ?disabled=${stopping} @click=${() => this.#askToStop(true)}>
                Stop…
              </button>`
        }
      </div>
      <p role="status" class="quiet">${this.said}</p>
      <p role="alert" class="bad">${problem === "" ? nothing : plainText(problem)}</p>
    </form>`;
  }

  #onText(event: Event): void {
    this.text = (event.target as HTMLTextAreaElement).value;
    this.#messageId = "";
    this.said = "";
  }

  #onKey(event: KeyboardEvent): void {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    (event.target as HTMLTextAreaElement).form?.requestSubmit();
  }

  async #send(event: Event): Promise<void> {
    event.preventDefault();
    const { sessionId, text } = this;
    if (text.trim() === "") return;
    this.#messageId ||= newId();
    const message = { text, messageId: this.#messageId };
    if (!(await this.#call.make(() => sessionService.sendMessage({ sessionId, message })))) return;
    this.text = "";
    this.#messageId = "";
    this.said = "Sent.";
  }

  async #interrupt(): Promise<void> {
    const { sessionId } = this;
    if (await this.#call.make(() => sessionService.interruptSession({ sessionId }))) this.said = "Interrupting…";
  }

  async #stop(): Promise<void> {
    const { sessionId } = this;
    const stopped = await this.#call.make(() =>
      sessionService.stopSession({ sessionId, reason: "Stopped on the page." }),
    );
    if (!stopped) return;
    this.said = "Stopping…";
    this.asksToStop = false;
  }

  /** Whoever uses the keyboard stays where the question is. */
  async #askToStop(asks: boolean): Promise<void> {
    this.asksToStop = asks;
    await this.updateComplete;
    (asks ? this.keepButton : this.stopButton)?.focus();
  }
}

/** Browsers have randomUUID only where the address is of this machine, or https. */
function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
