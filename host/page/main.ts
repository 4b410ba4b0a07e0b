import { css, html, LitElement, type TemplateResult } from "lit";
import { customElement, state } from "lit/decorators.js";
import type { Session } from "../../proto/index.ts";
import "./act/compare.ts";
import "./act/start.ts";
import { signedOut } from "./client.ts";
import "./diff/changes.ts";
import { commonStyle } from "./parts/common-style.ts";
import { eachFrame } from "./parts/each-frame.ts";
import { hrefOf, parseRoute, type Route } from "./router/route.ts";
import { countGroups } from "./sessions/groups.ts";
import { SessionFeed } from "./sessions/session-feed.ts";
import "./session/session.ts";
import "./sessions/sessions.ts";
import { signIn } from "./sign-in.ts";
import "./usage/usage.ts";

/** The page: what a browser shows of the host. */
@customElement("cc-page")
export class Page extends LitElement {
  static override styles = [
    commonStyle,
    css`
      :host {
        display: flex;
        flex-direction: column;
        block-size: 100dvh;
      }
      header {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: 0.25rem 1rem;
        padding: 0.4rem 1rem;
        border-block-end: 1px solid var(--line);
        background: var(--raised);
      }
      header a {
        text-decoration: none;
      }
      header a[aria-current] {
        color: var(--text);
        font-weight: 600;
      }
      nav {
        display: flex;
        gap: 1rem;
      }
      main {
        flex: 1;
        min-block-size: 0;
        overflow: auto;
      }
      .message {
        padding: 1rem;
      }
    `,
  ];
  @state() private accessor route: Route = parseRoute(location.hash);
  @state() private accessor signedIn: boolean | undefined;
  @state() private accessor version = 0;
  readonly #feed = new SessionFeed();
  readonly #over = new AbortController();

  override connectedCallback(): void {
    super.connectedCallback();
    const { signal } = this.#over;
    window.addEventListener("hashchange", () => this.#navigate(), { signal });
    signedOut.addEventListener("signed-out", () => (this.signedIn = false), { signal });
    const draw = eachFrame(() => (this.version = this.#feed.version));
    this.#feed.addEventListener("change", () => {
      document.title = titleOf(this.#feed.sessions.values());
      // Out of sight there are no frames, but a title.
      draw();
    });
    void this.#start();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#over.abort();
  }

  override render(): TemplateResult {
    return html`
      <header>
        <strong>ClaudeCluster</strong>
        <nav aria-label="Page">
          ${this.#link("Sessions", { name: "sessions" })} ${this.#link("Compare", { name: "compare", ids: [] })}
          ${this.#link("Usage", { name: "usage" })}
        </nav>
        ${this.signedIn === true ? html`<cc-start></cc-start>` : ""} ${this.#status()}
      </header>
      <main>${this.#main()}</main>
    `;
  }

  async #start(): Promise<void> {
    this.signedIn = await signIn().catch(() => false);
    this.#navigate();
    if (this.signedIn) await this.#feed.run(this.#over.signal);
  }

  #navigate(): void {
    this.route = parseRoute(location.hash);
  }

  #link(text: string, route: Exclude<Route, { name: "unknown" }>): TemplateResult {
    const current = this.route.name === route.name ? "page" : undefined;
    return html`<a href=${hrefOf(route)} aria-current=${current ?? "false"}>${text}</a>`;
  }

  #status(): TemplateResult {
    const { status } = this.#feed;
    const lost = status === "lost";
    return html`<span role="status" class=${lost ? "bad" : "quiet"}
        >${lost ? "The host does not answer. Trying again…" : status === "connecting" ? "Connecting…" : ""}</span
      >${
        lost
          ? html`<button @click=${() => this.#feed.retry()}>Try now</button>
              <span class="quiet">If it has ended: <code>claudecluster ui</code></span>`
          : ""
      }`;
  }

  #main(): TemplateResult {
    if (this.signedIn === undefined) return html``;
    if (!this.signedIn) {
      return html`<div class="message">
        <h1>Not signed in</h1>
        <p>In a terminal: <code>claudecluster ui</code></p>
      </div>`;
    }
    // It stays, with where one was in it.
    const sessions = html`<cc-sessions
      ?hidden=${this.route.name !== "sessions"}
      .feed=${this.#feed}
      .version=${this.version}
    ></cc-sessions>`;
    return html`${sessions}${this.#other()}`;
  }

  #other(): TemplateResult {
    const { route } = this;
    switch (route.name) {
      case "sessions":
        return html``;
      case "session":
        return html`<cc-session session-id=${route.id} .known=${this.#feed.sessions.get(route.id)}></cc-session>`;
      case "changes":
        return html`<cc-changes session-id=${route.id}></cc-changes>`;
      case "compare":
        return html`<cc-compare .ids=${route.ids} .feed=${this.#feed} .version=${this.version}></cc-compare>`;
      case "usage":
        return html`<cc-usage></cc-usage>`;
      case "unknown":
        return html`<div class="message">
          <h1>There is no such page</h1>
          <p><a href="#/">All sessions</a></p>
        </div>`;
    }
  }
}

/** What a tab of the browser is to say of all sessions. */
function titleOf(sessions: Iterable<Session>): string {
  const { attention, working } = countGroups(sessions);
  const counts = [
    ...(attention > 0 ? [`${attention} need${attention === 1 ? "s" : ""} you`] : []),
    ...(working > 0 ? [`${working} working`] : []),
  ];
  return [...counts, "ClaudeCluster"].join(" · ");
}
