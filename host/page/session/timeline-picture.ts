import { html, LitElement, nothing, svg, type SVGTemplateResult, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { cutChars } from "../../../proto/index.ts";
import { commonStyle } from "../parts/common-style.ts";
import { durationText } from "../parts/duration.ts";
import { oneLine, visible } from "../parts/plain-text.ts";
import { tableStyle, tableView } from "../parts/table.ts";
import { type Bar, drawSpans, type Window } from "./draw-spans.ts";
import { ticks, tickText } from "./ticks.ts";
import { type TimeSpent, timeSpent } from "./time-spent.ts";
import { type SpanKind, Timeline } from "./timeline.ts";
import { timelineStyle } from "./timeline-style.ts";

const ROW_HEIGHT = 20;
const AXIS_HEIGHT = 18;
const MIN_WIDTH = 200;
/** What a letter takes, about (px). */
const LETTER_WIDTH = 6.5;
const TICK_WIDTH = 80;
/** A shorter part of the time tells nothing more (ms). */
const SHORTEST_MS = 10;

const LABELS: Record<SpanKind, string> = {
  phase: "phases",
  turn: "turns",
  model: "the model answers",
  tool: "tools",
  wait: "waits for you",
  away: "connection lost",
};

/** Picture of where a session's time went, with a table that says the same. */
@customElement("cc-timeline")
export class TimelinePicture extends LitElement {
  static override styles = [commonStyle, tableStyle, timelineStyle];
  @property({ attribute: false }) accessor timeline: Timeline = new Timeline();
  /** Raised where the timeline has changed. */
  @property({ attribute: false }) accessor version = 0;
  @property({ attribute: false }) accessor nowMs = 0;
  /** Part that is shown. Undefined: all of it, also what comes. */
  @state() private accessor shown: Window | undefined;
  @state() private accessor width = 600;
  @state() private accessor chosen: Bar | undefined;
  readonly #resized = new ResizeObserver(([entry]) => {
    const width = Math.floor(entry!.contentRect.width);
    if (width > 0) this.width = Math.max(MIN_WIDTH, width);
  });

  override firstUpdated(): void {
    this.#resized.observe(this.renderRoot.querySelector(".picture")!);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#resized.disconnect();
  }

  override render(): TemplateResult {
    const { timeline, nowMs } = this;
    const rows = timeSpent(timeline, nowMs);
    const total = timeline.startMs === 0 ? 0 : timeline.endMs(nowMs) - timeline.startMs;
    return html`<section aria-labelledby="title">
      <div class="bar">
        <h2 id="title">Where the time went</h2>
        ${this.#tools()}
      </div>
      <div class="picture">${this.#picture(total)}</div>
      <p class="chosen" role="status">${this.chosen === undefined ? nothing : this.#about(this.chosen)}</p>
      <details>
        <summary>As a table</summary>
        ${this.#table(rows, total)}
      </details>
    </section>`;
  }

  #tools(): TemplateResult {
    const button = (label: string, text: string, act: () => void, disabled = false) =>
      html`<button type="button" aria-label=${label} title=${label} ?disabled=${disabled} @click=${act}>
        ${text}
      </button>`;
    const whole = this.shown === undefined;
    return html`<div role="group" aria-label="Part of the time">
      ${button("Show all of it", "all", () => (this.shown = undefined), whole)}
      ${button("Show the start, until Claude works", "start", () => this.#showStart())}
      ${button("Show half of it", "+", () => this.#zoom(0.5))}
      ${button("Show twice of it", "−", () => this.#zoom(2), whole)}
      ${button("Earlier", "◀", () => this.#pan(-0.5), whole)} ${button("Later", "▶", () => this.#pan(0.5), whole)}
    </div>`;
  }

  #picture(total: number): SVGTemplateResult | TemplateResult {
    const { timeline, nowMs, width } = this;
    if (total <= 0) return html`<p class="quiet">Nothing yet.</p>`;
    const window = this.#window();
    const { bars, rows } = drawSpans(timeline, window, { width, nowMs });
    const count = rows.reduce((sum, row) => sum + row.count, 0);
    // Each kind has a line with its name above its rows.
    const height = AXIS_HEIGHT + (count + rows.length) * ROW_HEIGHT;
    const topOf = (row: number) => {
      const kinds = rows.findLastIndex(({ first }) => first <= row) + 1;
      return AXIS_HEIGHT + (row + kinds) * ROW_HEIGHT;
    };
    return html`<svg
      role="img"
      aria-label=${`Timeline of ${durationText(total)}; the table below says the same.`}
      width=${width}
      height=${height}
      viewBox=${`0 0 ${width} ${height}`}
    >
      ${this.#axis(window, height)}
      ${rows.map(({ kind, first }) => svg`<text class="label" x="0" y=${topOf(first) - 6}>${LABELS[kind]}</text>`)}
      ${bars.map((bar) => this.#bar(bar, topOf(bar.row)))}
    </svg>`;
  }

  #axis(window: Window, height: number): SVGTemplateResult[] {
    const { startMs } = this.timeline;
    const [fromMs, toMs] = [window.fromMs - startMs, window.toMs - startMs];
    const { step, at } = ticks(fromMs, toMs, Math.max(1, Math.floor(this.width / TICK_WIDTH)));
    return at.map((time) => {
      const x = ((time - fromMs) / Math.max(1, toMs - fromMs)) * this.width;
      const line = svg`<line x1=${x} x2=${x} y1="0" y2=${height}></line>`;
      // There is no room for it at the end.
      return x > this.width - 30
        ? line
        : svg`${line}<text class="tick" x=${x + 3} y="12">${tickText(time, step)}</text>`;
    });
  }

  #bar(bar: Bar, top: number): SVGTemplateResult {
    const { kind, x, width, failed, lasts } = bar;
    const letters = Math.floor((width - 8) / LETTER_WIDTH);
    const name = visible(nameOf(bar));
    const label = letters < 3 ? "" : name.length <= letters ? name : `${cutChars(name, letters - 1)}…`;
    const state = `${failed ? " failed" : ""}${lasts ? " lasts" : ""}`;
    return svg`<g class=${`span ${kind}${state}`} @click=${() => this.#choose(bar)}>
      <rect x=${x} y=${top} width=${width} height=${ROW_HEIGHT - 3} rx="2"></rect>
      ${label === "" ? nothing : svg`<text x=${x + 4} y=${top + 12}>${label}</text>`}
      <title>${name}: ${durationText(this.#lengthOf(bar))}</title>
    </g>`;
  }

  #about(bar: Bar): TemplateResult {
    const { span, failed } = bar;
    const from = durationText(span.startMs - this.timeline.startMs);
    return html`<strong>${oneLine(nameOf(bar), 200)}</strong> ${durationText(this.#lengthOf(bar))}, from ${from}
      ${failed ? html`<span class="bad">failed</span>` : nothing}
      <button type="button" @click=${() => this.#show(bar)}>Show it alone</button>`;
  }

  #table(rows: readonly TimeSpent[], total: number): TemplateResult {
    const row = ({ of, name, fromMs, totalMs, count, longestMs, lasts }: TimeSpent) =>
      html`<tr>
        <th scope="row">
          <span class=${`mark ${of}`} aria-hidden="true"></span>
          ${of === "tool" ? html`<span class="quiet">tool</span> ${oneLine(name, 80)}` : name}
        </th>
        <td>${durationText(fromMs)}</td>
        <td>${durationText(totalMs)}${lasts ? html`<span class="quiet"> so far</span>` : nothing}</td>
        <td>${total <= 0 ? "" : `${((100 * totalMs) / total).toFixed(1)} %`}</td>
        <td>${count < 2 || of === "claude" ? "" : `${count}, longest ${durationText(longestMs)}`}</td>
      </tr>`;
    const all = html`<tr>
      <th scope="row">everything</th>
      <td></td>
      <td>${durationText(total)}</td>
      <td></td>
      <td></td>
    </tr>`;
    const heads = ["What", "From", "Took", "Of all", "How often"];
    return tableView("Where the time went, as a table", heads, [...rows.map(row), all]);
  }

  #window(): Window {
    const { timeline, nowMs } = this;
    return this.shown ?? { fromMs: timeline.startMs, toMs: Math.max(timeline.startMs + 1, timeline.endMs(nowMs)) };
  }

  #lengthOf({ span }: Bar): number {
    return (span.endMs ?? this.timeline.endMs(this.nowMs)) - span.startMs;
  }

  #choose(bar: Bar): void {
    this.chosen = bar;
  }

  #show({ span }: Bar): void {
    const toMs = span.endMs ?? this.timeline.endMs(this.nowMs);
    this.shown = { fromMs: span.startMs, toMs: Math.max(toMs, span.startMs + SHORTEST_MS) };
  }

  #showStart(): void {
    const work = this.timeline.spans.find(({ kind, name }) => kind === "phase" && name === "work");
    const { fromMs, toMs } = { fromMs: this.timeline.startMs, toMs: work?.startMs ?? this.timeline.endMs(this.nowMs) };
    this.shown = { fromMs, toMs: Math.max(toMs, fromMs + SHORTEST_MS) };
  }

  #zoom(factor: number): void {
    const { fromMs, toMs } = this.#window();
    const length = Math.max(SHORTEST_MS, (toMs - fromMs) * factor);
    this.#showFrom((fromMs + toMs - length) / 2, length);
  }

  #pan(share: number): void {
    const { fromMs, toMs } = this.#window();
    this.#showFrom(fromMs + share * (toMs - fromMs), toMs - fromMs);
  }

  #showFrom(wantedMs: number, length: number): void {
    const { startMs } = this.timeline;
    const endMs = this.timeline.endMs(this.nowMs);
    if (length >= endMs - startMs) return void (this.shown = undefined);
    const fromMs = Math.min(Math.max(startMs, wantedMs), endMs - length);
    this.shown = { fromMs, toMs: fromMs + length };
  }
}

function nameOf({ span, count }: Bar): string {
  const name = span.detail === "" ? span.name : `${span.name} ${span.detail}`;
  return count === 1 ? name : `${count}: ${name}, …`;
}
