import { html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { isFinal, type Session } from "../../../proto/index.ts";
import "../act/apply.ts";
import { commonStyle } from "../parts/common-style.ts";
import { eachFrame } from "../parts/each-frame.ts";
import { plainText } from "../parts/plain-text.ts";
import { problemOf } from "../parts/problem.ts";
import { tableStyle } from "../parts/table.ts";
import { connectionsView } from "./connections-view.ts";
import "./decision.ts";
import "./feed-list.ts";
import { FeedText } from "./feed-text.ts";
import { sessionHead } from "./head.ts";
import { longTextStyle } from "./long-text.ts";
import { ResultTexts, resultView } from "./result-view.ts";
import { SessionLog } from "./session-log.ts";
import { sessionStyle } from "./session-style.ts";
import "./steer.ts";
import "./timeline-picture.ts";
import "./usage-chart.ts";

/** Between two drawings of what goes on (ms): times that grow, and the picture. */
const BEAT_MS = 500;

/** One session: what it is, where its time went, what happens, what came of it, and what it is to be told. */
@customElement("cc-session")
export class SessionPage extends LitElement {
  static override styles = [commonStyle, tableStyle, longTextStyle, sessionStyle];
  @property({ attribute: "session-id" }) accessor sessionId = "";
  /** The session as the host lists it. Undefined: it does not. */
  @property({ attribute: false }) accessor known: Session | undefined;
  @state() private accessor log: SessionLog | undefined;
  /** What of the log is drawn: at once, and with each beat. */
  @state() private accessor version = 0;
  @state() private accessor beat = 0;
  @state() private accessor nowMs = Date.now();
  #over = new AbortController();
  #task = new FeedText("", "");
  #texts = new ResultTexts();
  #timer: ReturnType<typeof setInterval> | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    this.#timer = setInterval(() => this.#onBeat(), BEAT_MS);
    if (this.sessionId !== "") this.#open();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.#timer);
    this.#over.abort();
    this.log = undefined;
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("sessionId") && this.log?.session.id !== this.sessionId) this.#open();
    if (changed.has("known") && this.known !== undefined && this.known.id === this.sessionId)
      this.log?.look(this.known);
  }

  override render(): TemplateResult {
    const { log, nowMs, beat, version } = this;
    if (log === undefined) return html``;
    const { session, timeline, status } = log;
    if (status.name === "refused") {
      return html`<h1>Session</h1>
        <p role="alert">${plainText(problemOf(status.error))}</p>
        <p><a href="#/">All sessions</a></p>`;
    }
    const redraw = () => this.requestUpdate();
    const { meteredUsage, usage } = session.result ?? session.live ?? {};
    if (session.spec !== undefined && this.#task.text === "") this.#task = new FeedText("", session.spec.task);
    return html`${sessionHead(log, this.#task, nowMs, redraw)}
      <p class="warn" role="status">
        ${status.name === "lost" ? "The host does not answer: this may be old. Trying again…" : nothing}
      </p>
      ${
        log.pending.length === 0
          ? nothing
          : html`<section class="decisions" aria-label="Waits for you">
              ${log.pending.map(
                (decision) =>
                  html`<cc-decision
                    .sessionId=${session.id}
                    .decision=${decision}
                    .expireTime=${
                      session.pendingRequests.find(({ requestId }) => requestId === decision.request.requestId)
                        ?.expireTime
                    }
                    .nowMs=${nowMs}
                  ></cc-decision>`,
              )}
            </section>`
      }
      ${resultView(session, this.#texts, redraw)}
      <cc-timeline .timeline=${timeline} .version=${beat} .nowMs=${isFinal(session.state) ? 0 : nowMs}></cc-timeline>
      <div class="columns">
        <div class="feed">
          <cc-feed
            .feed=${log.feed}
            .version=${version}
            .startMs=${timeline.startMs}
            .follows=${log.wasOver !== true}
          ></cc-feed>
          <cc-steer .sessionId=${session.id} .state=${session.state}></cc-steer>
        </div>
        <div class="beside">
          <cc-session-usage
            .usage=${log.usage}
            .version=${beat}
            .counted=${meteredUsage}
            .told=${usage}
            .budget=${session.spec?.budget}
            .startMs=${timeline.startMs}
            .endMs=${timeline.endMs(nowMs)}
          ></cc-session-usage>
          ${connectionsView(log.connections)}
        </div>
      </div>`;
  }

  #open(): void {
    this.#over.abort();
    this.#over = new AbortController();
    const { signal } = this.#over;
    const log = new SessionLog(this.sessionId);
    this.log = log;
    this.#task = new FeedText("", "");
    this.#texts = new ResultTexts();
    const draw = eachFrame(() => (this.version = log.version));
    log.addEventListener("change", draw, { signal });
    if (this.known?.id === this.sessionId) log.look(this.known);
    void log.run(signal);
  }

  #onBeat(): void {
    const { log } = this;
    if (log === undefined) return;
    this.beat = log.version;
    if (!isFinal(log.session.state)) this.nowMs = Date.now();
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "cc-session": SessionPage;
  }
}
