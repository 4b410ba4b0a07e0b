import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import type { PendingDecision, PermissionRequested, Question, QuestionAsked } from "../../../proto/index.ts";
import { clock } from "../../present/status-line.ts";
import { sessionService } from "../client.ts";
import { commonStyle } from "../parts/common-style.ts";
import { plainText } from "../parts/plain-text.ts";
import { Call } from "./call.ts";
import { FeedText } from "./feed-text.ts";
import { longText } from "./long-text.ts";

/** Decision that Claude waits for: a permission to give or deny, or questions to answer. */
@customElement("cc-decision")
export class Decision extends LitElement {
  static override styles = [
    commonStyle,
    css`
      :host {
        display: block;
      }
      form {
        border: 2px solid var(--warn);
        border-radius: 8px;
        padding: 0.6rem 0.8rem;
        display: grid;
        gap: 0.4rem;
      }
      pre {
        margin: 0;
        padding: 0.3rem 0.5rem;
        background: var(--raised);
        white-space: pre-wrap;
        overflow-wrap: anywhere;
        max-block-size: 50vh;
        overflow: auto;
      }
      .buttons {
        display: flex;
        flex-wrap: wrap;
        gap: 0.4rem;
      }
      fieldset {
        border: 1px solid var(--line);
        border-radius: 6px;
        min-inline-size: 0;
      }
      legend,
      h2 {
        overflow-wrap: anywhere;
      }
      label {
        display: block;
      }
      input:not([type]),
      input[type="text"] {
        inline-size: 100%;
      }
      p {
        margin: 0;
      }
    `,
  ];
  @property({ attribute: false }) accessor sessionId = "";
  @property({ attribute: false }) accessor decision: PendingDecision | undefined;
  /** When it is made without anybody. Undefined: not for now. */
  @property({ attribute: false }) accessor expireTime: Timestamp | undefined;
  @property({ attribute: false }) accessor nowMs = 0;
  @state() private accessor note = "";
  readonly #call = new Call(this);
  #input: { of: PermissionRequested; text: FeedText } | undefined;

  override render(): TemplateResult {
    const { decision } = this;
    if (decision === undefined) return html``;
    return decision.kind === "permission" ? this.#permission(decision.request) : this.#question(decision.request);
  }

  #permission(request: PermissionRequested): TemplateResult {
    const { toolName, description, sessionRules } = request;
    const { runs } = this.#call;
    return html`<form @submit=${(event: Event) => event.preventDefault()} aria-labelledby="title">
      <h2 id="title">May Claude use ${plainText(toolName)}?</h2>
      ${description === "" ? nothing : html`<p>${plainText(description)}</p>`}
      ${longText(this.#inputOf(request), () => this.requestUpdate())}
      ${
        sessionRules.length === 0
          ? nothing
          : html`<p class="quiet">For the session: without asking from then on</p>
              <pre>${plainText(sessionRules.join("\n"))}</pre>`
      }
      <label
        >Note to Claude, if it is denied
        <input
          .value=${this.note}
          maxlength="4000"
          autocomplete="off"
          @input=${(event: Event) => (this.note = (event.target as HTMLInputElement).value)}
        />
      </label>
      <div class="buttons">
        <button type="button" ?disabled=${runs} @click=${() => this.#decide({ allow: true })}>Allow once</button>
        ${
          sessionRules.length === 0
            ? nothing
            : html`<button
                type="button"
                ?disabled=${runs}
                @click=${() => this.#decide({ allow: true, forSession: true })}
              >
                Allow for the session
              </button>`
        }
        <button type="button" ?disabled=${runs} @click=${() => this.#decide({ allow: false, message: this.note })}>
          Deny
        </button>
      </div>
      ${this.#foot("denied")}
    </form>`;
  }

  #question({ requestId, questions }: QuestionAsked): TemplateResult {
    return html`<form @submit=${(event: Event) => this.#answer(event, requestId, questions)} aria-labelledby="title">
      <h2 id="title">Claude asks</h2>
      ${questions.map((question, index) => this.#fields(question, index))}
      <div class="buttons"><button ?disabled=${this.#call.runs}>Answer</button></div>
      ${this.#foot("left to Claude")}
    </form>`;
  }

  #fields({ question, header, options, multiSelect }: Question, index: number): TemplateResult {
    return html`<fieldset>
      <legend>${header === "" ? nothing : html`<strong>${plainText(header)}</strong> `}${plainText(question)}</legend>
      ${options.map(
        ({ label, description }, option) =>
          html`<label
            ><input type=${multiSelect ? "checkbox" : "radio"} name=${`option ${index}`} value=${option} />
            ${plainText(label)}
            ${description === "" ? nothing : html`<span class="quiet">${plainText(description)}</span>`}</label
          >`,
      )}
      <label
        >${options.length === 0 ? "Answer" : "Other"}
        <input name=${`other ${index}`} autocomplete="off" />
      </label>
    </fieldset>`;
  }

  #foot(what: string): TemplateResult {
    const { expireTime, nowMs } = this;
    const { problem } = this.#call;
    const seconds = expireTime === undefined ? NaN : Math.max(0, (timestampMs(expireTime) - nowMs) / 1000);
    return html`<p class="quiet">
        ${Number.isNaN(seconds) ? "It waits until somebody decides." : `It is ${what} in ${clock(seconds)}.`}
      </p>
      <p role="alert" class="bad">${problem === "" ? nothing : plainText(problem)}</p>`;
  }

  #inputOf(of: PermissionRequested): FeedText {
    if (this.#input?.of !== of) {
      this.#input = { of, text: new FeedText("input", of.inputJson, of.truncated ? 0 : undefined) };
    }
    return this.#input.text;
  }

  #decide(decision: { allow: boolean; forSession?: boolean; message?: string }): void {
    const { sessionId, decision: asked } = this;
    if (asked === undefined) return;
    const { requestId } = asked.request;
    void this.#call.make(() => sessionService.decidePermission({ sessionId, decision: { requestId, ...decision } }));
  }

  #answer(event: Event, requestId: string, questions: readonly Question[]): void {
    event.preventDefault();
    const data = new FormData(event.target as HTMLFormElement);
    const answers = questions.map(({ options }, index) => {
      const chosen = data.getAll(`option ${index}`).map((option) => options[Number(option)]?.label ?? "");
      const other = String(data.get(`other ${index}`) ?? "").trim();
      // Of one choice other words take the place.
      const values = other === "" ? chosen : questions[index]!.multiSelect ? [...chosen, other] : [other];
      return { values };
    });
    void this.#call.make(() =>
      sessionService.answerQuestion({ sessionId: this.sessionId, answer: { requestId, answers } }),
    );
  }
}
