import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { commonStyle } from "../parts/common-style.ts";
import "../parts/virtual-list.ts";
import type { VirtualList } from "../parts/virtual-list.ts";
import { KIND_WORDS } from "./patch.ts";
import { type TreeNode, type TreeRow, treeRows } from "./tree.ts";

const ROW_PX = 26;
/** Letters that are typed within this time are one name (ms). */
const TYPING_MS = 700;

/** Tree of files with the counts of their lines, used by keys as a tree is. Tells of a file that was chosen by "choose". */
@customElement("cc-file-tree")
export class FileTree extends LitElement {
  static override styles = [
    commonStyle,
    css`
      :host,
      cc-virtual-list {
        display: block;
        block-size: 100%;
      }
      .row {
        display: flex;
        gap: 0.5rem;
        align-items: center;
        block-size: 26px;
        padding-inline-end: 0.5rem;
        font-size: 0.8125rem;
        cursor: pointer;
        white-space: nowrap;
      }
      .shown {
        box-shadow: inset 3px 0 var(--accent);
      }
      .row:hover {
        background: var(--raised);
      }
      .name {
        flex: 1;
        overflow: hidden;
        text-overflow: ellipsis;
        unicode-bidi: isolate;
      }
      .deleted {
        text-decoration: line-through;
      }
      :focus-visible .current {
        outline: 2px solid var(--accent);
        outline-offset: -2px;
      }
    `,
  ];
  /** The tree, from the top on. */
  @property({ attribute: false }) accessor nodes: readonly TreeNode[] = [];

  /** Path of the file that is looked at elsewhere. */
  @property() accessor shown = "";

  @state() private accessor current = 0;
  @query("cc-virtual-list") private accessor list!: VirtualList<TreeRow>;
  readonly #closed = new Set<string>();
  #rows: TreeRow[] = [];
  #typed = { text: "", atMs: 0 };

  protected override willUpdate(changed: PropertyValues): void {
    if (!changed.has("nodes")) return;
    const before = this.#rows[this.current]?.node.key;
    this.#rows = treeRows(this.nodes, (key) => this.#closed.has(key));
    const at = this.#rows.findIndex(({ node }) => node.key === before);
    this.current = at === -1 ? Math.max(0, Math.min(this.current, this.#rows.length - 1)) : at;
  }

  override render(): TemplateResult {
    return html`<cc-virtual-list
      role="tree"
      tabindex="0"
      aria-label="Changed files"
      aria-activedescendant="current"
      rowRole="none"
      .items=${this.#rows}
      .heightOf=${heightOf}
      .keyOf=${keyOf}
      .renderRow=${(row: TreeRow, index: number) => this.#renderRow(row, index)}
      @keydown=${this.#onKey}
    ></cc-virtual-list>`;
  }

  #renderRow({ node, level, position, siblings }: TreeRow, index: number): TemplateResult {
    const isCurrent = index === this.current;
    const isFile = node.file !== undefined;
    const open = !this.#closed.has(node.key);
    const kind = node.file?.kind ?? "modified";
    return html`<div
      role="treeitem"
      id=${isCurrent ? "current" : nothing}
      class="row${isCurrent ? " current" : ""}${node.file?.path === this.shown ? " shown" : ""}"
      .style=${`padding-inline-start: ${level * 12}px`}
      aria-level=${level}
      aria-posinset=${position}
      aria-setsize=${siblings}
      aria-selected=${isCurrent}
      aria-expanded=${isFile ? nothing : open}
      title=${node.name}
      @click=${() => this.#choose(index)}
    >
      <span aria-hidden="true">${isFile ? "" : open ? "▾" : "▸"}</span>
      <span class="name ${kind}">${node.name}</span>
      ${KIND_WORDS[kind] === "" ? nothing : html`<span class="quiet">${KIND_WORDS[kind]}</span>`}
      ${
        node.file?.binary === true
          ? html`<span class="quiet">binary</span>`
          : html`<span class="good">+${node.addedLines}</span><span class="bad">−${node.deletedLines}</span>`
      }
    </div>`;
  }

  #choose(index: number): void {
    const node = this.#rows[index]?.node;
    if (node === undefined) return;
    this.current = index;
    if (node.file === undefined) return this.#fold(node.key, !this.#closed.has(node.key));
    this.dispatchEvent(new CustomEvent("choose", { detail: node.file.path }));
  }

  #fold(key: string, closed: boolean): void {
    if (closed) this.#closed.add(key);
    else this.#closed.delete(key);
    this.requestUpdate("nodes");
  }

  readonly #onKey = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const row = this.#rows[this.current];
    if (row === undefined) return;
    const { node, parent } = row;
    const closed = this.#closed.has(node.key);
    const isFolder = node.file === undefined;
    const page = Math.max(1, Math.floor(this.list.clientHeight / ROW_PX) - 1);
    if (event.key === "ArrowDown") this.#goTo(this.current + 1);
    else if (event.key === "ArrowUp") this.#goTo(this.current - 1);
    else if (event.key === "PageDown") this.#goTo(this.current + page);
    else if (event.key === "PageUp") this.#goTo(this.current - page);
    else if (event.key === "Home") this.#goTo(0);
    else if (event.key === "End") this.#goTo(this.#rows.length - 1);
    else if (event.key === "ArrowRight" && isFolder && closed) this.#fold(node.key, false);
    else if (event.key === "ArrowRight" && isFolder) this.#goTo(this.current + 1);
    else if (event.key === "ArrowLeft" && isFolder && !closed) this.#fold(node.key, true);
    else if (event.key === "ArrowLeft" && parent !== -1) this.#goTo(parent);
    else if (event.key === "Enter" || event.key === " ") this.#choose(this.current);
    else if (event.key.length === 1) this.#type(event);
    else return;
    event.preventDefault();
  };

  /** Goes to the next name that begins with what was typed. */
  #type({ key, timeStamp }: KeyboardEvent): void {
    const goesOn = timeStamp - this.#typed.atMs < TYPING_MS;
    const text = (goesOn ? this.#typed.text : "") + key.toLowerCase();
    this.#typed = { text, atMs: timeStamp };
    const from = goesOn ? this.current : this.current + 1;
    const order = [...this.#rows.keys()].map((at) => (at + from) % this.#rows.length);
    const found = order.find((at) => this.#rows[at]!.node.name.toLowerCase().startsWith(text));
    if (found !== undefined) this.#goTo(found);
  }

  #goTo(index: number): void {
    this.current = Math.max(0, Math.min(index, this.#rows.length - 1));
    void this.list.reveal(this.current);
  }
}

function heightOf(): number {
  return ROW_PX;
}

function keyOf({ node }: TreeRow): string {
  return node.key;
}

declare global {
  interface HTMLElementTagNameMap {
    "cc-file-tree": FileTree;
  }
}
