import { css, html, LitElement, nothing, svg, type TemplateResult } from "lit";
import { customElement, state } from "lit/decorators.js";
import { UsageDimension, type UsageSum } from "../../../proto/control.ts";
import { dollars, tokensOf } from "../../../proto/index.ts";
import { stateName } from "../../present/session-summary.ts";
import { hostService } from "../client.ts";
import { commonStyle } from "../parts/common-style.ts";
import { visible } from "../parts/plain-text.ts";
import { problemOf } from "../parts/problem.ts";
import { tableView } from "../parts/table.ts";
import { daysBack, withAllDays } from "./days.ts";

const HEIGHT = 100;
const COLUMN = 10;
/** Most columns of the chart; the table has all. */
const MAX_COLUMNS = 400;

const BY: readonly [UsageDimension, name: string, valueOf: (sum: UsageSum) => string][] = [
  [UsageDimension.DAY, "Day", ({ day }) => day],
  [UsageDimension.REPOSITORY, "Repository", ({ repository }) => repository],
  [UsageDimension.MODEL, "Model", ({ model }) => model],
  [UsageDimension.STATE, "Outcome", ({ state }) => stateName(state)],
  [UsageDimension.CALLER, "Caller", ({ caller }) => caller],
];
const DAYS = [7, 30, 90, 400];

/** What sessions have used of the model, as a chart and as a table. */
@customElement("cc-usage")
export class UsagePage extends LitElement {
  static override styles = [
    commonStyle,
    css`
      :host {
        display: block;
        padding: 1rem;
      }
      form {
        display: flex;
        flex-wrap: wrap;
        gap: 0.5rem 1rem;
        margin-block: 0.75rem;
      }
      svg {
        display: block;
        inline-size: 100%;
        block-size: 9rem;
        border-block-end: 1px solid var(--line);
      }
      rect {
        fill: var(--accent);
      }
      .scroll {
        overflow-x: auto;
      }
      table {
        border-collapse: collapse;
        font-variant-numeric: tabular-nums;
        margin-block-start: 0.75rem;
      }
      th,
      td {
        padding: 0.15rem 1rem 0.15rem 0;
        text-align: end;
      }
      th:first-child {
        text-align: start;
        font-weight: normal;
        min-inline-size: 10rem;
        overflow-wrap: anywhere;
      }
      thead th {
        color: var(--quiet);
        font-weight: normal;
      }
    `,
  ];
  @state() private accessor by = 0;
  @state() private accessor days = 30;
  @state() private accessor sums: readonly UsageSum[] | undefined;
  @state() private accessor problem = "";
  #asked = 0;

  override connectedCallback(): void {
    super.connectedCallback();
    void this.#load();
  }

  override render(): TemplateResult {
    return html`
      <h1>Usage</h1>
      <form @change=${this.#choose}>
        <label
          >By
          <select name="by">
            ${BY.map(([, name], index) => html`<option value=${index} ?selected=${index === this.by}>${name}</option>`)}
          </select></label
        >
        <label
          >Of
          <select name="days">
            ${DAYS.map((days) => html`<option value=${days} ?selected=${days === this.days}>the last ${days} days</option>`)}
          </select></label
        >
      </form>
      ${this.problem === "" ? nothing : html`<p role="alert" class="bad">${this.problem}</p>`}
      ${this.sums === undefined ? nothing : this.sums.length === 0 ? html`<p>Nothing was used of the model.</p>` : this.#shown(this.sums)}
    `;
  }

  #shown(sums: readonly UsageSum[]): TemplateResult {
    const [, name, valueOf] = BY[this.by]!;
    const most = Math.max(...sums.map(costOf)) || 1;
    const columns = sums.slice(0, MAX_COLUMNS).map((sum, index) => {
      const height = (HEIGHT * costOf(sum)) / most;
      return svg`<rect x=${index * COLUMN + 1} y=${HEIGHT - height} width=${COLUMN - 2} height=${height}
        ><title>${visible(valueOf(sum))}: ${dollars(costOf(sum))}</title></rect>`;
    });
    const width = Math.max(columns.length, 7) * COLUMN;
    const total = sums.reduce((cost, sum) => cost + costOf(sum), 0);
    const used = sums.filter(({ sessionCount }) => sessionCount > 0);
    return html`
      <svg viewBox="0 0 ${width} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true">${columns}</svg>
      <p><strong>${dollars(total)}</strong> <span class="quiet">in all; the highest: ${dollars(most)}</span></p>
      ${tableView(
        "Usage as a table",
        [name, "Sessions", "Requests", "Tokens", "Cost"],
        used.map(
          (sum) =>
            html`<tr>
              <th scope="row">${visible(valueOf(sum) || "none")}</th>
              <td>${sum.sessionCount}</td>
              <td>${sum.usage?.requestCount ?? 0}</td>
              <td>${sum.usage === undefined ? 0 : Number(tokensOf(sum.usage)).toLocaleString("en")}</td>
              <td>${dollars(costOf(sum))}</td>
            </tr>`,
        ),
      )}
    `;
  }

  #choose(event: Event): void {
    const { name, value } = event.target as HTMLSelectElement;
    if (name === "by") this.by = Number(value);
    else this.days = Number(value);
    void this.#load();
  }

  /** The last question counts. */
  async #load(): Promise<void> {
    const asked = ++this.#asked;
    const [dimension] = BY[this.by]!;
    const days = daysBack(this.days);
    const sums: UsageSum[] = [];
    let problem = "";
    try {
      const request = { firstDay: days[0]!, dimensions: [dimension] };
      for await (const response of hostService.getUsage(request)) sums.push(...response.sums);
    } catch (error) {
      problem = problemOf(error);
    }
    if (asked !== this.#asked) return;
    this.problem = problem;
    if (dimension === UsageDimension.DAY) this.sums = sums.length === 0 ? [] : withAllDays(sums, days);
    else this.sums = sums.toSorted((one, other) => costOf(other) - costOf(one));
  }
}

function costOf({ usage }: UsageSum): number {
  return usage?.costUsd ?? 0;
}

declare global {
  interface HTMLElementTagNameMap {
    "cc-usage": UsagePage;
  }
}
