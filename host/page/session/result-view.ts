import { durationMs } from "@bufbuild/protobuf/wkt";
import { html, nothing, type TemplateResult } from "lit";
import { type Session, type SessionResult, Session_State as State } from "../../../proto/index.ts";
import { checkText, setupText, summarizeCommand } from "../../present/command-text.ts";
import { defaultedLines } from "../../present/defaulted-text.ts";
import { notInPatch } from "../../present/not-in-patch.ts";
import { patchNotes } from "../../present/patch-notes.ts";
import { plural } from "../../present/plural.ts";
import { runsCodeNotes } from "../../present/runs-code.ts";
import { takenText } from "../../present/taken-text.ts";
import { durationText } from "../parts/duration.ts";
import { oneLine, plainText } from "../parts/plain-text.ts";
import { FeedText } from "./feed-text.ts";
import { longText } from "./long-text.ts";

/** Texts of a result that may be long, kept while they are the same. */
export class ResultTexts {
  #of: SessionResult | undefined;
  #answer = new FeedText("", "");
  #check = new FeedText("", "");

  /** Returns Claude's answer and the end of what the check wrote. */
  of(result: SessionResult): { answer: FeedText; check: FeedText } {
    if (this.#of !== result) {
      this.#of = result;
      this.#answer = new FeedText("", result.finalText, result.finalTextTruncated ? 0 : undefined);
      this.#check = new FeedText("", result.check?.outputTail ?? "");
    }
    return { answer: this.#answer, check: this.#check };
  }
}

/** Shows how a session ended and what it left behind. `onChange` is called once more of a text is to be shown. */
export function resultView(session: Session, texts: ResultTexts, onChange: () => void): TemplateResult {
  const { result } = session;
  if (result === undefined) return html``;
  const { answer, check } = texts.of(result);
  const taken = takenText(session);
  const notes = [...runsCodeNotes(result.changes), ...patchNotes(result)];
  return html`<section aria-labelledby="result-title" class="result">
    <h2 id="result-title">Result</h2>
    ${outcome(session, result)}
    <p>
      ${plural(result.changeCount, "changed file")}${
        result.elapsed === undefined ? nothing : html` in ${durationText(durationMs(result.elapsed))}`
      }${taken === undefined ? nothing : html`, taken: ${oneLine(taken)}`}
    </p>
    ${result.setup === undefined ? nothing : html`<p>${oneLine(setupText(result.setup))}</p>`}
    ${result.check === undefined ? nothing : checked(result.check, check, onChange)}
    ${
      answer.text === ""
        ? nothing
        : html`<h3>Claude's answer</h3>
            ${longText(answer, onChange)}`
    }
    ${lines("Decided by nobody", defaultedLines(session))} ${lines("Before you apply it", notes)}
    ${lines("Not in the patch", notInPatch(result))}
  </section>`;
}

function outcome({ state }: Session, { outcome }: SessionResult): TemplateResult {
  if (outcome.case === "failure") {
    const { reason, message } = outcome.value;
    return html`<p><strong class="bad">Failed</strong> <code>${oneLine(reason, 64)}</code></p>
      <p>${plainText(message)}</p>`;
  }
  if (outcome.case === "cancellation") {
    return html`<p><strong class="warn">Canceled</strong> ${oneLine(outcome.value.reason)}</p>`;
  }
  return state === State.SUCCEEDED ? html`<p><strong class="good">Succeeded</strong></p>` : html``;
}

function checked(result: NonNullable<SessionResult["check"]>, text: FeedText, onChange: () => void): TemplateResult {
  const summary = summarizeCommand(result);
  return html`<p class=${summary.passed ? "good" : "bad"}>${oneLine(checkText(summary))}</p>
    ${text.text === "" ? nothing : longText(text, onChange)}`;
}

function lines(title: string, texts: readonly string[]): TemplateResult | typeof nothing {
  if (texts.length === 0) return nothing;
  return html`<h3>${title}</h3>
    <ul>
      ${texts.map((text) => html`<li>${plainText(text)}</li>`)}
    </ul>`;
}
