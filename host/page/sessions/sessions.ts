import { css, html, LitElement, type PropertyValues, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { commonStyle } from "../parts/common-style.ts";
import "../parts/virtual-list.ts";
import type { VirtualList } from "../parts/virtual-list.ts";
import {
  countGroups,
  type Group,
  GROUPS,
  listRows,
  type ListRow,
  repositoriesOf,
  type SessionFilter,
} from "./groups.ts";
import type { SessionFeed } from "./session-feed.ts";
import { sessionRow, sessionRowStyle } from "./session-row.ts";

const NARROW = matchMedia("(max-width: 40rem)");
/** Ages are drawn anew this often (ms). */
const TICK_MS = 5_000;
const ALL: SessionFilter = { group: "", repository: "", search: "" };
/** Keys that go through the list, and how far. */
const STEPS: Readonly<Record<string, number>> = {
  ArrowDown: 1,
  j: 1,
  ArrowUp: -1,
  k: -1,
  PageDown: 10,
  PageUp: -10,
  Home: -Infinity,
  End: Infinity,
};

/** All sessions of the host: grouped, to be filtered and searched, by mouse or keys. */
@customElement("cc-sessions")
export class Sessions extends LitElement {
  static override styles = [
    commonStyle,
    sessionRowStyle,
    css`
      :host {
        display: flex;
        flex-direction: column;
        block-size: 100%;
      }
      :host([hidden]) {
        display: none;
      }
      form {
        padding: 0.5rem 1rem;
      }
      form > div {
        display: flex;
        gap: 0.4rem;
      }
      .groups {
        overflow-x: auto;
        margin-block-start: 0.4rem;
        padding: 2px;
      }
      button {
        flex: none;
      }
      input {
        flex: 1;
        min-inline-size: 0;
      }
      select {
        max-inline-size: 40%;
      }
      [aria-pressed="true"] {
        border-color: var(--accent);
        color: var(--accent);
      }
      cc-virtual-list {
        flex: 1;
        min-block-size: 0;
      }
      h2 {
        padding: 0.6rem 1rem 0.2rem;
      }
      .nothing {
        padding: 1rem;
      }
      @media (max-width: 40rem) {
        h2 {
          padding-inline: 0.75rem;
        }
      }
    `,
  ];
  /** What they are taken from. */
  @property({ attribute: false }) accessor feed!: SessionFeed;
  /** Version of the feed that is shown. */
  @property({ type: Number }) accessor version = 0;
  /** Whether something else is shown now. */
  @property({ type: Boolean, reflect: true }) override accessor hidden = false;
  @state() private accessor filter = ALL;
  @state() private accessor nowMs = Date.now();
  /** Session that the keys are at. */
  @state() private accessor currentId = "";
  @query("cc-virtual-list") private accessor list!: VirtualList<ListRow>;
  @query("input") private accessor search!: HTMLInputElement;
  #rows: ListRow[] = [];
  #entered = false;
  #over = new AbortController();

  override connectedCallback(): void {
    super.connectedCallback();
    this.#over = new AbortController();
    const { signal } = this.#over;
    const ticking = setInterval(() => (this.nowMs = Date.now()), TICK_MS);
    signal.addEventListener("abort", () => clearInterval(ticking));
    document.addEventListener("keydown", (event) => this.#onKey(event), { signal });
    NARROW.addEventListener("change", () => this.requestUpdate(), { signal });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#over.abort();
  }

  protected override shouldUpdate(): boolean {
    return !this.hidden;
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (changed.has("version")) this.nowMs = Date.now();
    this.#rows = listRows(this.feed.sessions.values(), this.filter);
    // As long as nobody is anywhere in it, its beginning.
    if (!this.#entered || this.#indexOf(this.currentId) < 0)
      this.currentId = this.#rows.map(idOf).find((id) => id !== "") ?? "";
  }

  override render(): TemplateResult {
    const { sessions } = this.feed;
    const counts = countGroups(sessions.values());
    return html`<h1 class="unseen">Sessions</h1>
      <form role="search" @submit=${(event: Event) => event.preventDefault()}>
        <div>
          <input
            type="search"
            aria-label="Search sessions"
            placeholder="Search  /"
            .value=${this.filter.search}
            @input=${() => this.#narrow({ search: this.search.value })}
          />
          ${this.#repositorySelect()}
        </div>
        <div class="groups" role="group" aria-label="Show only">
          ${(Object.keys(GROUPS) as Group[]).map((group) => this.#groupButton(group, counts[group]))}
        </div>
      </form>
      ${
        this.#rows.length === 0
          ? html`<p class="nothing quiet">${sessions.size === 0 ? "No sessions yet." : "No session matches."}</p>`
          : ""
      }
      <cc-virtual-list
        role="list"
        aria-label="Sessions"
        .items=${this.#rows}
        .keyOf=${(row: ListRow) => ("session" in row ? row.session.id : row.group)}
        .heightOf=${heightOf}
        .renderRow=${(row: ListRow) => this.#row(row)}
        @focusin=${(event: Event) => this.#onFocus(event)}
      ></cc-virtual-list>`;
  }

  #row(row: ListRow): TemplateResult {
    if ("session" in row) {
      return sessionRow(row.session, { nowMs: this.nowMs, current: row.session.id === this.currentId });
    }
    return html`<h2>${GROUPS[row.group]} <span class="quiet">${row.count}</span></h2>`;
  }

  #groupButton(group: Group, count: number): TemplateResult {
    const pressed = this.filter.group === group;
    return html`<button
      type="button"
      aria-pressed=${pressed}
      ?disabled=${count === 0 && !pressed}
      @click=${() => this.#narrow({ group: pressed ? "" : group })}
    >
      ${GROUPS[group]} ${count}
    </button>`;
  }

  #repositorySelect(): TemplateResult | "" {
    const names = repositoriesOf(this.feed.sessions.values());
    const { repository } = this.filter;
    if (names.length < 2 && repository === "") return "";
    return html`<select
      aria-label="Repository"
      .value=${repository}
      @change=${({ target }: Event) => this.#narrow({ repository: (target as HTMLSelectElement).value })}
    >
      <option value="">All repositories</option>
      ${names.filter(Boolean).map((name) => html`<option value=${name} ?selected=${name === repository}>${name}</option>`)}
    </select>`;
  }

  #narrow(filter: Partial<SessionFilter>): void {
    this.filter = { ...this.filter, ...filter };
    this.list.scrollTop = 0;
  }

  #onKey(event: KeyboardEvent): void {
    if (this.hidden || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const { key } = event;
    // In an element's own tree, which its host stands for outside.
    const at = event.composedPath()[0];
    const typing = at instanceof HTMLElement && at.matches("input, select, textarea, dialog *");
    if (typing && at !== this.search) return;
    if (at === this.search) {
      if (key === "Escape") this.#narrow({ search: "" });
      if (key !== "Escape" && key !== "ArrowDown" && key !== "Enter") return;
      event.preventDefault();
      void this.#moveTo(this.#indexOf(this.currentId));
      return;
    }
    if (key === "/") {
      event.preventDefault();
      this.search.select();
      this.search.focus();
      return;
    }
    const step = STEPS[key];
    if (step === undefined) return;
    event.preventDefault();
    // The first key shows where one is.
    const inList = at instanceof HTMLElement && at.matches(".session");
    void this.#moveTo(this.#indexOf(this.currentId), inList ? step : 0);
  }

  /** Goes to the session that is so many further than a row, and to the last one where there are fewer. */
  async #moveTo(from: number, step = 0): Promise<void> {
    const places = this.#rows.flatMap((row, index) => ("session" in row ? [index] : []));
    if (places.length === 0) return;
    const place = Math.max(0, Math.min(places.length - 1, places.indexOf(from) + step));
    const index = places[place]!;
    this.#entered = true;
    this.currentId = idOf(this.#rows[index]!);
    // With it its heading, where it is the first.
    if (place === 0) this.list.scrollTop = 0;
    await this.updateComplete;
    await this.list.reveal(index);
    this.list.rowAt(index)?.querySelector("a")?.focus({ preventScroll: true });
  }

  #onFocus({ target }: Event): void {
    const index = Number((target as HTMLElement).closest<HTMLElement>("[data-index]")?.dataset["index"]);
    const row = this.#rows[index];
    if (row === undefined) return;
    this.#entered = true;
    this.currentId = idOf(row);
  }

  #indexOf(id: string): number {
    return this.#rows.findIndex((row) => id !== "" && idOf(row) === id);
  }
}

function idOf(row: ListRow): string {
  return "session" in row ? row.session.id : "";
}

/** Height of a row (px), as the style has it. */
function heightOf(row: ListRow): number {
  if (!("session" in row)) return 38;
  return NARROW.matches ? 78 : 56;
}
