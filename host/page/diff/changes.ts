import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { isFinal, type Session } from "../../../proto/index.ts";
import { notInPatch } from "../../present/not-in-patch.ts";
import { patchWarning } from "../../present/withheld-patch.ts";
import { commonStyle } from "../parts/common-style.ts";
import { eachFrame } from "../parts/each-frame.ts";
import { plainText, visible } from "../parts/plain-text.ts";
import { problemOf } from "../parts/problem.ts";
import { hrefOf } from "../router/route.ts";
import { type Comment, Comments, placeText, reviewMessage } from "./comments.ts";
import "./diff.ts";
import type { Diff } from "./diff.ts";
import "./file-tree.ts";
import type { PatchedFile } from "./patch.ts";
import { SessionChanges } from "./session-changes.ts";
import { buildTree, inTreeOrder, shownPath, type TreeNode } from "./tree.ts";

const SIDE_BY_SIDE = "claudecluster-side-by-side";
const numbers = new Intl.NumberFormat("en");

/** Changes of a session: its files as a tree, their diff, and the comments on its lines, which are sent as one message. */
@customElement("cc-changes")
export class Changes extends LitElement {
  static override styles = [
    commonStyle,
    css`
      :host {
        display: flex;
        flex-direction: column;
        block-size: 100%;
        container-type: size;
      }
      .bar {
        display: flex;
        flex-wrap: wrap;
        gap: 0.25rem 1rem;
        align-items: center;
        padding: 0.4rem 0.75rem;
      }
      p.bar {
        margin: 0;
        white-space: pre-wrap;
      }
      .body {
        flex: 1;
        min-block-size: 0;
        display: flex;
        border-block-start: 1px solid var(--line);
      }
      nav {
        flex: 0 0 18rem;
        border-inline-end: 1px solid var(--line);
      }
      cc-diff {
        flex: 1;
        min-inline-size: 0;
      }
      .review {
        max-block-size: 35%;
        overflow: auto;
        padding: 0.5rem 0.75rem;
        border-block-start: 1px solid var(--line);
        background: var(--raised);
      }
      .review ul {
        list-style: none;
        margin: 0 0 0.5rem;
        padding: 0;
      }
      .review li {
        display: flex;
        gap: 0.5rem;
        align-items: baseline;
        margin-block: 0.25rem;
      }
      .review p {
        flex: 1;
        margin: 0;
        min-inline-size: 0;
        overflow-wrap: anywhere;
        white-space: pre-wrap;
      }
      .place {
        overflow-wrap: anywhere;
        text-align: start;
      }
      @container (max-width: 45rem) {
        .body {
          flex-direction: column;
        }
        nav {
          flex: 0 1 25%;
          border-inline-end: 0;
          border-block-end: 1px solid var(--line);
        }
        .beside {
          display: none;
        }
      }
    `,
  ];
  /** Id of the session. */
  @property({ attribute: "session-id" }) accessor sessionId = "";

  @state() private accessor version = 0;
  @state() private accessor filter = "";
  @state() private accessor sideBySide = localStorage.getItem(SIDE_BY_SIDE) === "yes";
  /** What came of the comments that were sent. */
  @state() private accessor outcome: TemplateResult | undefined;
  @state() private accessor sending = false;
  /** Path of the file that is looked at. */
  @state() private accessor shown = "";
  @query("cc-diff") private accessor diff!: Diff;
  #changes: SessionChanges | undefined;
  #comments: Comments | undefined;
  #over = new AbortController();
  #shown: { of: readonly PatchedFile[]; filter: string; nodes: TreeNode[]; files: PatchedFile[] } | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.hasUpdated) this.#start();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#over.abort();
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (changed.has("sessionId")) this.#start();
  }

  override render(): TemplateResult {
    const { session, problem } = this.#changes ?? {};
    const shown = this.#look();
    if (shown === undefined) {
      return html`<div class="bar">
        <h1>Changes</h1>
        <span role="status" class=${problem ? "bad" : "quiet"}>${problem ? visible(problem) : "Reading…"}</span>
      </div>`;
    }
    const { nodes, files } = shown;
    const count = this.#changes?.files?.length ?? 0;
    const live = session !== undefined && !isFinal(session.state);
    return html`<div class="bar">
        <h1>Changes</h1>
        <span role="status"
          >${countText(files)}${live ? html` <span class="good">live</span>` : nothing}${
            problem ? html` <span class="bad">${visible(problem)}</span>` : nothing
          }</span
        >
        <input
          type="search"
          aria-label="Only files with this in their names"
          placeholder="Filter files"
          .value=${this.filter}
          @input=${(event: InputEvent) => (this.filter = (event.target as HTMLInputElement).value)}
        />
        <span class="beside quiet">A click on a line’s number, or c, comments on it.</span>
        <button class="beside" aria-pressed=${this.sideBySide} @click=${this.#turn}>Side by side</button>
      </div>
      ${warningsOf(session).map((line) => html`<p class="bar warn">${plainText(line)}</p>`)} ${this.#review(live)}
      ${
        files.length === 0
          ? html`<p class="bar quiet">
              ${count === 0 ? "Nothing has been changed." : "No file has this in its name."}
            </p>`
          : html`<div class="body">
              <nav aria-label="Files">
                <cc-file-tree
                  .nodes=${nodes}
                  .shown=${this.shown}
                  @choose=${({ detail }: CustomEvent<string>) => void this.diff.showFile(detail)}
                ></cc-file-tree>
              </nav>
              <cc-diff
                .files=${files}
                .comments=${this.#comments}
                ?side-by-side=${this.sideBySide}
                @look=${({ detail }: CustomEvent<string>) => (this.shown = detail)}
              ></cc-diff>
            </div>`
      }`;
  }

  #start(): void {
    this.#over.abort();
    this.#over = new AbortController();
    const { signal } = this.#over;
    this.#shown = undefined;
    this.outcome = undefined;
    this.#comments = new Comments(this.sessionId);
    this.#comments.addEventListener("change", () => this.requestUpdate(), { signal });
    this.#changes = new SessionChanges(this.sessionId);
    const draw = eachFrame(() => (this.version += 1));
    this.#changes.addEventListener("change", draw, { signal });
    void this.#changes.run(signal);
  }

  /** The files whose names have what is looked for; the same as before while nothing has changed. */
  #look(): { nodes: TreeNode[]; files: PatchedFile[] } | undefined {
    const all = this.#changes?.files;
    const { filter } = this;
    if (all === undefined) return undefined;
    if (this.#shown?.of !== all || this.#shown.filter !== filter) {
      const wanted = filter.trim().toLowerCase();
      const nodes = buildTree(all.filter(({ path }) => shownPath(path).toLowerCase().includes(wanted)));
      this.#shown = { of: all, filter, nodes, files: inTreeOrder(nodes) };
    }
    return this.#shown;
  }

  #review(live: boolean): TemplateResult | typeof nothing {
    const all = this.#comments?.all ?? [];
    if (all.length === 0 && this.outcome === undefined) return nothing;
    const what = all.length === 1 ? "the comment" : `${all.length} comments`;
    return html`<section class="review" aria-label="Comments">
      <ul>
        ${all.map(
          (comment) =>
            html`<li>
              <button class="place" @click=${() => void this.#showPlace(comment)}>
                ${placeText(comment, shownPath)}
              </button>
              <p>${visible(comment.text)}</p>
              <button
                aria-label="Remove the comment on ${placeText(comment, shownPath)}"
                @click=${() => this.#comments?.remove([comment.id])}
              >
                ✕
              </button>
            </li>`,
        )}
      </ul>
      ${
        all.length === 0
          ? nothing
          : html`<button ?disabled=${this.sending} @click=${() => void this.#send()}>
              ${live ? `Send ${what}` : `Go on in a new session with ${what}`}
            </button>`
      }
      <span role="status">${this.outcome}</span>
    </section>`;
  }

  async #showPlace(comment: Comment): Promise<void> {
    this.filter = "";
    await this.updateComplete;
    await this.diff.showPlace(comment);
  }

  async #send(): Promise<void> {
    const [changes, comments] = [this.#changes!, this.#comments!];
    const sent = comments.all;
    this.sending = true;
    try {
      const id = await changes.send(reviewMessage(sent));
      comments.remove(sent.map(({ id }) => id));
      this.outcome =
        id === this.sessionId
          ? html`Sent as one message.`
          : html`Sent to <a href=${hrefOf({ name: "session", id })}>a session that goes on from this one</a>.`;
    } catch (error) {
      this.outcome = html`<span class="bad">${visible(problemOf(error))}</span>`;
    } finally {
      this.sending = false;
    }
  }

  readonly #turn = (): void => {
    this.sideBySide = !this.sideBySide;
    localStorage.setItem(SIDE_BY_SIDE, this.sideBySide ? "yes" : "no");
  };
}

/** What is to be known of a patch before it is believed. */
function warningsOf(session: Session | undefined): string[] {
  if (session?.result === undefined) return [];
  const warning = patchWarning(session.result.outcome);
  return [...(warning === undefined ? [] : [warning]), ...notInPatch(session.result)];
}

function countText(files: readonly PatchedFile[]): TemplateResult {
  const sum = (of: (file: PatchedFile) => number) => numbers.format(files.reduce((total, file) => total + of(file), 0));
  const count = files.length === 1 ? "1 file" : `${numbers.format(files.length)} files`;
  return html`${count} <span class="good">+${sum(({ addedLines }) => addedLines)}</span>
    <span class="bad">−${sum(({ deletedLines }) => deletedLines)}</span>`;
}

declare global {
  interface HTMLElementTagNameMap {
    "cc-changes": Changes;
  }
}
