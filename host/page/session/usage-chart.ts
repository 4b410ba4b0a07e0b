import { css, html, LitElement, nothing, svg, type SVGTemplateResult, type TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import { type Budget, dollars, type MeteredUsage, tokensOf, type Usage } from "../../../proto/index.ts";
import { commonStyle } from "../parts/common-style.ts";
import { UsageOverTime, type UsagePoint } from "./usage.ts";

const WIDTH = 320;
const HEIGHT = 72;

/** What a session has used of the model, in numbers and over time. */
@customElement("cc-session-usage")
export class SessionUsage extends LitElement {
  static override styles = [
    commonStyle,
    css`
      :host {
        display: block;
      }
      dl {
        display: grid;
        grid-template-columns: max-content 1fr;
        gap: 0 0.75rem;
        margin: 0.25rem 0;
        font-variant-numeric: tabular-nums;
      }
      dt {
        color: var(--quiet);
      }
      dd {
        margin: 0;
      }
      figure {
        margin: 0.25rem 0;
      }
      svg {
        display: block;
        inline-size: 100%;
        max-inline-size: 30rem;
        block-size: auto;
        border-block-end: 1px solid var(--line);
      }
      path {
        fill: none;
        stroke: var(--accent);
        stroke-width: 1.5;
        vector-effect: non-scaling-stroke;
      }
      path.area {
        fill: color-mix(in srgb, var(--accent) 18%, transparent);
        stroke: none;
      }
      figcaption {
        font-size: 0.8125rem;
      }
    `,
  ];
  @property({ attribute: false }) accessor usage: UsageOverTime = new UsageOverTime();
  /** Raised where the use has changed. */
  @property({ attribute: false }) accessor version = 0;
  /** What the host has counted. Undefined: nothing yet. */
  @property({ attribute: false }) accessor counted: MeteredUsage | undefined;
  /** What Claude Code tells. Undefined: nothing yet. */
  @property({ attribute: false }) accessor told: Usage | undefined;
  @property({ attribute: false }) accessor budget: Budget | undefined;
  @property({ attribute: false }) accessor startMs = 0;
  @property({ attribute: false }) accessor endMs = 0;

  override render(): TemplateResult {
    const { counted, told, budget } = this;
    const used = counted ?? told;
    const points = this.usage.points;
    const row = (name: string, text: string | number | bigint) =>
      html`<dt>${name}</dt>
        <dd>${text}</dd>`;
    return html`<section aria-labelledby="title">
      <h2 id="title">Use of the model</h2>
      ${
        used === undefined
          ? html`<p class="quiet">Nothing yet.</p>`
          : html`<dl>
              ${row("cost", `${dollars(used.costUsd)}${bound(budget?.maxCostUsd, dollars)}`)}
              ${row("tokens", `${tokensOf(used)}${bound(Number(budget?.maxTokenCount ?? 0n), String)}`)}
              ${row("in", used.inputTokenCount)} ${row("out", used.outputTokenCount)}
              ${row("cache, read", used.cacheReadTokenCount)} ${row("cache, written", used.cacheWriteTokenCount)}
              ${
                counted === undefined
                  ? row("counted by", "Claude Code, as it says")
                  : row("requests", `${counted.requestCount}${bound(budget?.maxRequestCount, String)}`)
              }
            </dl>`
      }
      ${
        points.length === 0
          ? nothing
          : html`${this.#chart("cost", points, ({ costUsd }) => costUsd, dollars)}
            ${this.#chart(
              "tokens",
              points,
              ({ tokens }) => tokens,
              (tokens) => `${tokens} tokens`,
            )}`
      }
    </section>`;
  }

  #chart(
    name: string,
    points: readonly UsagePoint[],
    valueOf: (point: UsagePoint) => number,
    text: (value: number) => string,
  ): TemplateResult {
    const { startMs, endMs } = this;
    const most = Math.max(...points.map(valueOf));
    const xOf = (timeMs: number) =>
      (Math.min(1, Math.max(0, (timeMs - startMs) / Math.max(1, endMs - startMs))) * WIDTH).toFixed(1);
    const yOf = (value: number) => (HEIGHT - 2 - (most === 0 ? 0 : value / most) * (HEIGHT - 6)).toFixed(1);
    // What is used stays used: it goes up in steps.
    const steps = points.map((point) => `H${xOf(point.timeMs)}V${yOf(valueOf(point))}`).join("");
    const line = `M0 ${yOf(0)}${steps}H${xOf(endMs)}`;
    return html`<figure>
      <svg role="img" aria-label=${`${name} over time, up to ${text(most)}`} viewBox=${`0 0 ${WIDTH} ${HEIGHT}`}>
        ${path("area", `${line}V${HEIGHT}H0Z`)} ${path("line", line)}
      </svg>
      <figcaption class="quiet">${name} over time, up to ${text(most)}</figcaption>
    </figure>`;
  }
}

function path(className: string, d: string): SVGTemplateResult {
  return svg`<path class=${className} d=${d}></path>`;
}

/** Text of a bound. Empty: there is none, which 0 says, too. */
function bound(most: number | undefined, text: (value: number) => string): string {
  return most === undefined || most === 0 ? "" : ` of ${text(most)}`;
}
