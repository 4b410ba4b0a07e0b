import { css, html, nothing, type TemplateResult } from "lit";
import { sizeText } from "../../present/sent-text.ts";
import { plainText } from "../parts/plain-text.ts";
import type { FeedText } from "./feed-text.ts";
import { toolInputText } from "./tool-input.ts";

/** What is shown of a long text at first, and with each further step: more at once would hold up the browser. */
const FIRST_CHARS = 600;
const FIRST_LINES = 8;
const SHORT_REST = 200;
const STEP_CHARS = 32 * 1024;

/** Style of long texts, for whoever shows them. */
export const longTextStyle = css`
  pre {
    margin: 0;
    white-space: pre-wrap;
    overflow-wrap: anywhere;
  }
  pre.said {
    font: inherit;
  }
  .label,
  .more {
    font-size: 0.8125rem;
  }
`;

/** How much of a text is shown where somebody wanted more of it. It outlives the row that shows it. */
const shownChars = new WeakMap<FeedText, number>();

/** Shows a text of an entry: the start of a long one, with a button for more. `onChange` is called once more is shown. */
export function longText(text: FeedText, onChange: () => void): TemplateResult {
  const whole = text.label === "input" ? toolInputText(text.text) : text.text;
  const first = firstPart(whole);
  const end = Math.max(first, Math.min(whole.length, shownChars.get(text) ?? 0));
  const show = (chars: number) => {
    shownChars.set(text, chars);
    onChange();
  };
  const what = text.label === "" ? "text" : text.label;
  const rest = whole.length - end;
  const next = Math.min(rest, STEP_CHARS);
  return html`${text.label === "" ? nothing : html`<div class="quiet label">${text.label}</div>`}
    <pre class=${text.label === "" ? "said" : ""}>${plainText(whole.slice(0, end))}</pre>
    ${
      rest > 0
        ? html`<button type="button" class="more" @click=${() => show(end + STEP_CHARS)}>
            ${next === rest ? `Show all of the ${what}` : `Show more of the ${what}`} (${sizeText(rest)})
          </button>`
        : nothing
    }
    ${
      end > first
        ? html`<button type="button" class="more" @click=${() => show(0)}>Show less of the ${what}</button>`
        : nothing
    }
    ${rest === 0 ? cutNote(text) : nothing}`;
}

/** What of a text is not there, in our words. */
function cutNote({ dropped, wholeBytes }: FeedText): TemplateResult | typeof nothing {
  if (dropped) return html`<div class="quiet">Too long ago to be kept here: claudecluster watch --json has it.</div>`;
  if (wholeBytes === undefined) return nothing;
  return html`<div class="quiet">${wholeBytes > 0 ? `Cut: it has ${sizeText(wholeBytes)} in all.` : "Cut."}</div>`;
}

function firstPart(text: string): number {
  const end = endOfFirst(text);
  // A button for so little would be longer.
  return text.length - end < SHORT_REST ? text.length : end;
}

function endOfFirst(text: string): number {
  let end = 0;
  for (let lines = 0; lines < FIRST_LINES; lines++) {
    const next = text.indexOf("\n", end);
    if (next < 0 || next >= FIRST_CHARS) return Math.min(text.length, FIRST_CHARS);
    end = next + 1;
  }
  // The last line's end is none of it.
  return end >= text.length ? text.length : end - 1;
}
