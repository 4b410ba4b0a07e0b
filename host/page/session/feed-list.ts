import { html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { commonStyle } from "../parts/common-style.ts";
import { durationText } from "../parts/duration.ts";
import { oneLine } from "../parts/plain-text.ts";
import type { VirtualList } from "../parts/virtual-list.ts";
import "../parts/virtual-list.ts";
import { Feed, type FeedEntry, type FeedKind } from "./feed.ts";
import { feedStyle } from "./feed-style.ts";
import { longText, longTextStyle } from "./long-text.ts";

const FILTERS: Record<FeedKind, string> = {
  claude: "Claude",
  message: "Messages",
  tool: "Tools",
  decision: "Decisions",
  change: "Changes",
  network: "Network",
  output: "Output",
  progress: "Progress",
  end: "The end",
};
/** What an entry of one line takes, about (px). */
const ROW_HEIGHT = 30;
/** Distance from the end that counts as being there (px). */
const NEAR_END = 40;
/** Times that the end is looked for again, since rows turn out to be higher than was thought. */
const MOST_LOOKS = 8;

/** What happened in a session, newest last. It follows what comes, until somebody scrolls up. */
@customElement("cc-feed")
export class FeedList extends LitElement {
  static override styles = [commonStyle, longTextStyle, feedStyle];
  @property({ attribute: false }) accessor feed: Feed = new Feed();
  /** Raised where the feed has changed. */
  @property({ attribute: false }) accessor version = 0;
  /** When the session began: times are told from then. */
  @property({ attribute: false }) accessor startMs = 0;
  /** Whether the newest entry is kept in sight. */
  @property({ attribute: false }) accessor follows = true;
  @state() private accessor filter: FeedKind | "" = "";
  @query("cc-virtual-list") private accessor list!: VirtualList<FeedEntry>;
  #following = false;

  override render(): TemplateResult {
    const { feed, filter } = this;
    const entries = filter === "" ? [...feed.entries] : feed.entries.filter(({ kind }) => kind === filter);
    const dropped = feed.droppedCount;
    return html`<section aria-labelledby="title">
      <div class="bar">
        <h2 id="title">What happened</h2>
        <label
          >Show
          <select @change=${this.#onFilter}>
            <option value="">everything</option>
            ${Object.entries(FILTERS).map(([kind, name]) => html`<option value=${kind}>${name}</option>`)}
          </select></label
        >
        <label><input type="checkbox" .checked=${this.follows} @change=${this.#onFollow} /> Follow</label>
      </div>
      ${dropped > 0 ? html`<p class="quiet">The first ${dropped} entries are not kept here.</p>` : nothing}
      ${entries.length === 0 ? html`<p class="quiet">Nothing yet.</p>` : nothing}
      <cc-virtual-list
        role="list"
        aria-labelledby="title"
        tabindex="0"
        measure
        .items=${entries}
        .heightOf=${() => ROW_HEIGHT}
        .keyOf=${({ sequence }: FeedEntry) => sequence}
        .renderRow=${(entry: FeedEntry) => this.#row(entry)}
        @scroll=${this.#onScroll}
      ></cc-virtual-list>
    </section>`;
  }

  protected override updated(): void {
    if (this.follows) void this.#follow();
  }

  #row(entry: FeedEntry): TemplateResult {
    const { timeMs, kind, state, title, subject, texts, elapsedMs, nested } = entry;
    const change = () => this.list.requestUpdate();
    const time = new Date(timeMs);
    return html`<article class=${`entry ${kind} ${state}${nested ? " nested" : ""}`}>
      <div class="line">
        <time class="quiet" datetime=${time.toISOString()} title=${time.toLocaleString()}
          >${durationText(timeMs - this.startMs)}</time
        >
        ${title === "" ? nothing : html`<span class="title">${title}</span>`}
        ${subject === "" ? nothing : html`<span class="subject">${oneLine(subject)}</span>`}
        ${elapsedMs === undefined ? nothing : html`<span class="quiet elapsed">${durationText(elapsedMs)}</span>`}
        ${this.#state(entry)} ${nested ? html`<span class="quiet">by a sub-agent</span>` : nothing}
      </div>
      ${texts.map((text) => longText(text, change))}
    </article>`;
  }

  /** Of what is no tool the title says how it went. */
  #state({ kind, state }: FeedEntry): TemplateResult | typeof nothing {
    const text =
      state === "running"
        ? "running"
        : state === "waiting"
          ? "waits for you"
          : state === "bad" && kind === "tool"
            ? "failed"
            : "";
    return text === "" ? nothing : html`<span class="state">${text}</span>`;
  }

  async #follow(): Promise<void> {
    if (this.#following) return;
    this.#following = true;
    await this.updateComplete;
    const { list } = this;
    for (let looks = 0; looks < MOST_LOOKS && this.follows && list.items.length > 0; looks++) {
      list.scrollTop = list.scrollHeight;
      list.requestUpdate();
      await list.updateComplete;
      if (isAtEnd(list)) break;
    }
    this.#following = false;
  }

  /** Whoever scrolls up wants to read, and whoever scrolls to the end to see what comes. */
  #onScroll(): void {
    if (!this.#following) this.follows = isAtEnd(this.list);
  }

  #onFollow(event: Event): void {
    this.follows = (event.target as HTMLInputElement).checked;
  }

  #onFilter(event: Event): void {
    this.filter = (event.target as HTMLSelectElement).value as FeedKind | "";
  }
}

function isAtEnd({ scrollTop, clientHeight, scrollHeight }: Element): boolean {
  return scrollTop + clientHeight >= scrollHeight - NEAR_END;
}
