import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import { isFinal } from "../../../proto/index.ts";
import type { CompareSessionsResponse, Overlap } from "../../../proto/control.ts";
import { plural } from "../../present/plural.ts";
import { directoryService } from "../client.ts";
import "../diff/diff.ts";
import { SessionChanges } from "../diff/session-changes.ts";
import { commonStyle } from "../parts/common-style.ts";
import { oneLine, plainText } from "../parts/plain-text.ts";
import { problemOf } from "../parts/problem.ts";
import { hrefOf } from "../router/route.ts";
import type { SessionFeed } from "../sessions/session-feed.ts";
import "./apply.ts";
import { conflictsView } from "./apply-view.ts";
import { attemptGroups } from "./attempt-groups.ts";
import { attemptFacts } from "./attempt-view.ts";

/** Attempts side by side, the best first: what each came to, what it changed, and what does not go together. */
@customElement("cc-compare")
export class Compare extends LitElement {
  static override styles = [
    commonStyle,
    css`
      :host {
        display: flex;
        flex-direction: column;
        gap: 0.75rem;
        min-block-size: 100%;
        padding: 1rem;
      }
      .columns {
        flex: 1;
        display: grid;
        grid-auto-flow: column;
        grid-auto-columns: minmax(22rem, 1fr);
        gap: 0.75rem;
        overflow-x: auto;
      }
      article {
        display: flex;
        flex-direction: column;
        gap: 0.5rem;
        min-inline-size: 0;
        padding: 0.75rem;
        border: 1px solid var(--line);
        border-radius: 8px;
      }
      article.best {
        border-color: var(--good);
      }
      header {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0.5rem;
      }
      h2 {
        flex: 1;
      }
      dl {
        display: grid;
        grid-template-columns: max-content 1fr;
        gap: 0.1rem 0.75rem;
        margin: 0;
        overflow-wrap: anywhere;
      }
      dt {
        color: var(--quiet);
      }
      dd {
        margin: 0;
      }
      cc-diff {
        flex: 1 1 24rem;
        min-block-size: 24rem;
        contain: strict;
      }
      p {
        margin: 0;
      }
      @media (width < 48rem) {
        .columns {
          grid-auto-flow: row;
          grid-auto-columns: auto;
        }
      }
    `,
  ];
  /** Ids of the attempts. */
  @property({ attribute: false }) accessor ids: readonly string[] = [];
  /** What the sessions are taken from. */
  @property({ attribute: false }) accessor feed!: SessionFeed;
  /** Version of the feed that is shown. */
  @property({ type: Number }) accessor version = 0;
  @state() private accessor comparison: CompareSessionsResponse | undefined;
  @state() private accessor problem = "";
  readonly #changes = new Map<string, SessionChanges>();
  #isCompared = false;
  #over = new AbortController();

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#over.abort();
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (!changed.has("ids") || String(changed.get("ids")) === String(this.ids)) return;
    this.#over.abort();
    this.#over = new AbortController();
    this.#changes.clear();
    this.#isCompared = false;
    this.comparison = undefined;
    this.problem = "";
  }

  override render(): TemplateResult {
    if (this.ids.length === 0) return this.#offer();
    const ids = this.#ordered();
    const task = this.feed.sessions.get(ids[0] ?? "")?.spec?.task ?? "";
    return html`<h1>${plural(ids.length, "attempt")}: ${oneLine(task)}</h1>
      <p role="alert" class="bad">${this.problem === "" ? nothing : plainText(this.problem)}</p>
      ${this.#together(ids)}
      <div class="columns">
        ${repeat(
          ids,
          (id) => id,
          (id, at) => this.#column(id, at),
        )}
      </div>`;
  }

  protected override updated(): void {
    const sessions = this.ids.map((id) => this.feed.sessions.get(id));
    for (const session of sessions) if (session !== undefined) this.#follow(session.id);
    if (sessions.length > 1 && sessions.every((session) => session !== undefined && isFinal(session.state))) {
      void this.#compare();
    }
  }

  /** What there is to compare. */
  #offer(): TemplateResult {
    const groups = attemptGroups(this.feed.sessions.values());
    if (groups.length === 0) {
      return html`<h1>Attempts</h1>
        <p>No task was given to several sessions. A new session may be started as several attempts.</p>`;
    }
    return html`<h1>Attempts</h1>
      <ul>
        ${groups.map(
          ({ task, ids }) =>
            html`<li>
              <a href=${hrefOf({ name: "compare", ids })}>${oneLine(task)}</a>
              <span class="quiet">${plural(ids.length, "attempt")}</span>
            </li>`,
        )}
      </ul>`;
  }

  #column(id: string, at: number): TemplateResult {
    const session = this.feed.sessions.get(id);
    const isBest = at === 0 && this.comparison?.firstIsGood === true;
    const number = this.ids.indexOf(id) + 1;
    const files = this.#changes.get(id)?.files;
    return html`<article class=${isBest ? "best" : ""} aria-labelledby=${`attempt-${at}`}>
      <header>
        <h2 id=${`attempt-${at}`}>
          <a href=${hrefOf({ name: "session", id })}>Attempt ${number}</a>
          ${isBest ? html`<span class="good">best</span>` : nothing}
        </h2>
        ${session === undefined ? nothing : html`<cc-apply label="Accept…" .session=${session}></cc-apply>`}
      </header>
      ${session === undefined ? this.#missing() : attemptFacts(session, files)}
      ${
        files === undefined || files.length === 0
          ? nothing
          : html`<cc-diff label=${`Changes of attempt ${number}`} .files=${files}></cc-diff>`
      }
    </article>`;
  }

  #missing(): TemplateResult | typeof nothing {
    return this.feed.status === "live" ? html`<p class="bad">There is no such session.</p>` : nothing;
  }

  /** What the changes of several do to each other. */
  #together(ids: readonly string[]): TemplateResult | typeof nothing {
    if (this.comparison === undefined) {
      const isLive = ids.some((id) => !isFinal(this.feed.sessions.get(id)?.state ?? 0));
      return isLive ? html`<p role="status" class="quiet">They are ranked once all have finished.</p>` : nothing;
    }
    const { mergeProblem, overlaps } = this.comparison;
    if (mergeProblem !== "") return html`<p class="quiet">They were not merged: ${plainText(mergeProblem)}</p>`;
    if (overlaps.length === 0) return html`<p>No two have changed the same file.</p>`;
    return html`<details>
      <summary>${plural(overlaps.length, "pair")} changed the same files</summary>
      ${overlaps.map((overlap) => this.#overlap(overlap))}
    </details>`;
  }

  #overlap({ sessionIds, paths, pathCount, conflicts }: Overlap): TemplateResult {
    const names = sessionIds.map((id) => `attempt ${this.ids.indexOf(id) + 1}`).join(" and ");
    const more = pathCount > paths.length ? ` and ${pathCount - paths.length} more` : "";
    return html`<p>
        ${names}: ${plainText(`${paths.join(", ")}${more}`)}${conflicts.length === 0 ? ", which go together" : ""}
      </p>
      ${conflictsView(conflicts)}`;
  }

  #ordered(): readonly string[] {
    return this.comparison?.rankedSessionIds ?? [...new Set(this.ids)];
  }

  /** What each changes, as it happens. */
  #follow(id: string): void {
    if (this.#changes.has(id)) return;
    const { signal } = this.#over;
    const changes = new SessionChanges(id);
    changes.addEventListener("change", () => this.requestUpdate(), { signal });
    this.#changes.set(id, changes);
    void changes.run(signal);
  }

  async #compare(): Promise<void> {
    if (this.#isCompared) return;
    this.#isCompared = true;
    const { signal } = this.#over;
    try {
      this.comparison = await directoryService.compareSessions({ sessionIds: [...new Set(this.ids)] }, { signal });
    } catch (error) {
      if (!signal.aborted) this.problem = problemOf(error);
    }
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "cc-compare": Compare;
  }
}
