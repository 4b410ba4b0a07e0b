import { html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { commonStyle } from "../parts/common-style.ts";
import "../parts/virtual-list.ts";
import type { VirtualList } from "../parts/virtual-list.ts";
import { type Comment, type Comments, type Place, placeOf, placeText } from "./comments.ts";
import { renderComment, renderRow } from "./diff-row.ts";
import { diffStyle } from "./diff-style.ts";
import { isEnd, isLike, isSameFile, type Item, keyOf, linesOf, withComments } from "./items.ts";
import { LineTexts } from "./line-text.ts";
import type { PatchedFile } from "./patch.ts";
import { isSmall, makeRows, type Row } from "./rows.ts";
import { shownPath } from "./tree.ts";

const LINE_PX = 20;
/** Heights of items that were not measured yet (px). */
const HEIGHTS: Record<Exclude<Item["kind"], "line">, number> = {
  file: 38,
  hunk: 28,
  note: 36,
  more: 48,
  comment: 100,
  draft: 190,
};
/** Two columns are of use from here on (px). */
const WIDE_PX = 900;

/**
 * Diff of the files of a patch. It needs a height from its parent, and shows what is seen of it, however long it is. With
 * `comments` its lines can be commented on: by a click on their numbers, or Enter.
 * Tells of the file that is on top by "look".
 */
@customElement("cc-diff")
export class Diff extends LitElement {
  static override styles = [commonStyle, diffStyle];
  /** Files, in the order in which they are shown. A new array where they change. */
  @property({ attribute: false }) accessor files: readonly PatchedFile[] = [];
  /** The old and the new lines beside each other, where it is wide enough. */
  @property({ type: Boolean, attribute: "side-by-side" }) accessor sideBySide = false;
  /** Where comments are kept. Undefined: there can be none. */
  @property({ attribute: false }) accessor comments: Comments | undefined;
  /** What a screen reader calls it. */
  @property() accessor label = "Diff";

  /** The file whose lines are on top, by its place. */
  @state() private accessor top = 0;
  /** Raised where files were opened or closed, or their rows have to be made anew. */
  @state() private accessor opened = 0;
  @state() private accessor wide = false;
  @state() private accessor current = 0;
  @state() private accessor anchor = 0;
  @state() private accessor draft: Comment | undefined;
  @query("cc-virtual-list") private accessor list!: VirtualList<Item>;
  #items: Item[] = [];
  #columns = 80;
  /** Files that somebody has opened or closed, by their paths. */
  readonly #opened = new Map<string, boolean>();
  #rows = new WeakMap<PatchedFile, { key: string; rows: Row[] }>();
  readonly #texts = new LineTexts();
  readonly #resized = new ResizeObserver(() => this.#measure());
  readonly #commented = () => this.requestUpdate("comments");

  override connectedCallback(): void {
    super.connectedCallback();
    this.#resized.observe(this);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#resized.disconnect();
    this.comments?.removeEventListener("change", this.#commented);
  }

  /** Shows a file, opened, from its top on. */
  async showFile(path: string): Promise<void> {
    const file = this.files.find((each) => each.path === path);
    if (file === undefined) return;
    if (isSmall(file)) this.#opened.set(path, true);
    this.opened += 1;
    await this.updateComplete;
    await this.#goTo(
      this.#items.findIndex((item) => item.kind === "file" && item.file.path === path),
      { top: true },
    );
    this.list.focus();
  }

  /** Shows lines of a file. */
  async showPlace(place: Place): Promise<void> {
    this.#opened.set(place.path, true);
    this.opened += 1;
    await this.updateComplete;
    const at = this.#items.findIndex((item) => isEnd(item, place));
    if (at === -1) return await this.showFile(place.path);
    await this.#goTo(at);
    this.list.focus();
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (changed.has("comments")) {
      const before = changed.get("comments") as Comments | undefined;
      if (before !== this.comments) before?.removeEventListener("change", this.#commented);
      this.comments?.addEventListener("change", this.#commented);
      this.draft = this.comments?.draft;
    }
    const makes = ["files", "opened", "sideBySide", "wide", "comments", "draft"];
    if (!makes.some((name) => changed.has(name))) return;
    const first = this.hasUpdated && changed.has("files") && this.list.scrollTop > 0 ? this.list.firstSeen : -1;
    const seen = this.#items[first];
    const offset = seen === undefined ? 0 : this.list.scrollTop - this.list.topOf(first);
    this.#makeItems();
    if (seen !== undefined) this.#hold(seen, offset);
  }

  override render(): TemplateResult {
    const file = this.files[this.top];
    return html`<span class="probe" aria-hidden="true">${"0".repeat(50)}</span>
      ${
        file === undefined || this.files.length === 1
          ? nothing
          : html`<div class="top">
              <span>${shownPath(file.path)}</span><span>${this.top + 1} of ${this.files.length}</span>
            </div>`
      }
      <cc-virtual-list
        role="treegrid"
        tabindex="0"
        aria-label=${this.label}
        aria-multiselectable="true"
        aria-activedescendant="current"
        rowRole="none"
        measure
        .items=${this.#items}
        .heightOf=${this.#heightOf}
        .keyOf=${keyOf}
        .renderRow=${(item: Item, index: number) => this.#renderItem(item, index)}
        @keydown=${this.#onKey}
        @click=${this.#onClick}
        @scroll=${this.#look}
      ></cc-virtual-list>`;
  }

  #renderItem(item: Item, index: number): TemplateResult {
    if (item.kind === "comment") {
      const { comment } = item;
      return renderComment(comment, {
        edit: () => this.#edit(comment),
        remove: () => this.comments?.remove([comment.id]),
      });
    }
    if (item.kind === "draft") return this.#renderDraft(item.draft);
    const [first, last] = this.#range();
    const selected = item.kind === "line" && first !== last && index >= first && index <= last;
    const open = this.#isOpen(item.file);
    return renderRow(item, { current: index === this.current, selected, open }, this.#texts);
  }

  #renderDraft(draft: Comment): TemplateResult {
    return html`<div role="row" aria-level="2">
      <div role="gridcell">
        <form @submit=${this.#save}>
          <label for="draft">Comment on ${placeText(draft, shownPath)}</label>
          <textarea
            id="draft"
            rows="4"
            maxlength="10000"
            .value=${draft.text}
            @input=${this.#write}
            @keydown=${this.#onDraftKey}
          ></textarea>
          <button type="submit">
            ${this.comments?.all.some(({ id }) => id === draft.id) === true ? "Save" : "Add comment"}
          </button>
          <button type="button" @click=${this.#cancel}>Cancel</button>
        </form>
      </div>
    </div>`;
  }

  #makeItems(): void {
    const before = this.#items[this.current];
    const sideBySide = this.sideBySide && this.wide;
    const items: Item[] = [];
    const comments = this.comments?.all ?? [];
    const commented = new Set([...comments, ...(this.draft ? [this.draft] : [])].map(({ path }) => path));
    for (const file of this.files) {
      const key = `${sideBySide} ${this.#isOpen(file)}`;
      let made = this.#rows.get(file);
      if (made?.key !== key) {
        made = { key, rows: makeRows([file], { sideBySide, isOpen: (each) => this.#isOpen(each) }) };
        this.#rows.set(file, made);
      }
      if (commented.has(file.path)) for (const row of made.rows) items.push(...withComments(row, comments, this.draft));
      else for (const row of made.rows) items.push(row);
    }
    this.#items = items;
    if (before === undefined || items[this.current] === before) return;
    // What keys act on stays the same line, where it is still there.
    const at = items.indexOf(before);
    const moved = at === -1 ? Math.max(0, Math.min(this.current, items.length - 1)) : at;
    this.anchor += moved - this.current;
    this.current = moved;
  }

  /** What is seen stays where it is while something changes above it. */
  #hold(seen: Item, offset: number): void {
    const exact = this.#items.indexOf(seen);
    const at = exact === -1 ? this.#items.findIndex((item) => isLike(item, seen)) : exact;
    if (at === -1) return;
    void this.updateComplete.then(async () => {
      await this.list.updateComplete;
      this.list.scrollTop = this.list.topOf(at) + offset;
    });
  }

  /** Looks which file is on top, and tells by "look" if it is another one. */
  readonly #look = (): void => {
    const item = this.#items[this.list.firstSeen];
    if (item === undefined || !("file" in item) || item.file === this.files[this.top]) return;
    this.top = this.files.indexOf(item.file);
    this.dispatchEvent(new CustomEvent("look", { detail: item.file.path }));
  };

  #isOpen(file: PatchedFile): boolean {
    return this.#opened.get(file.path) ?? isSmall(file);
  }

  readonly #heightOf = (item: Item): number => {
    if (item.kind !== "line") return HEIGHTS[item.kind];
    const { file, at, beside = -1 } = item;
    const length = Math.max(file.lines[at]?.length ?? 0, file.lines[beside]?.length ?? 0);
    return LINE_PX * Math.max(1, Math.ceil(Math.min(2000, length - 1) / this.#columns));
  };

  /** Guesses how much goes into a line. */
  #measure(): void {
    this.wide = this.clientWidth >= WIDE_PX;
    const probe = this.renderRoot.querySelector(".probe");
    const character = (probe?.getBoundingClientRect().width ?? 0) / 50 || 8;
    const halves = this.sideBySide && this.wide ? 2 : 1;
    const beside = this.clientWidth < 600 ? 7 : halves === 2 ? 8 : 14;
    const columns = Math.max(10, Math.floor(this.clientWidth / halves / character) - beside);
    if (columns === this.#columns) return;
    this.#columns = columns;
    // What was measured in another width counts no more.
    this.#rows = new WeakMap();
    this.opened += 1;
  }

  async #goTo(index: number, { top = false } = {}): Promise<void> {
    this.current = this.anchor = index;
    await this.updateComplete;
    await this.list.reveal(index, { top });
  }

  /** The lines that a comment would be on, by their places among the items. */
  #range(): [number, number] {
    return [Math.min(this.anchor, this.current), Math.max(this.anchor, this.current)];
  }

  readonly #onKey = (event: KeyboardEvent): void => {
    if (event.target !== this.list || event.ctrlKey || event.metaKey || event.altKey) return;
    const { key, shiftKey } = event;
    const page = Math.max(1, Math.floor(this.list.clientHeight / LINE_PX) - 2);
    const last = this.#items.length - 1;
    const steps: Record<string, number> = {
      ArrowDown: this.current + 1,
      ArrowUp: this.current - 1,
      PageDown: this.current + page,
      PageUp: this.current - page,
      Home: 0,
      End: last,
      "]": this.#items.findIndex((item, at) => at > this.current && item.kind === "file"),
      "[": this.#items.findLastIndex((item, at) => at < this.current && item.kind === "file"),
    };
    const step = steps[key];
    if (step !== undefined) {
      if (step !== -1 || key.startsWith("Arrow")) void this.#step(Math.max(0, Math.min(step, last)), shiftKey);
    } else if (key === "Enter" || key === "c") this.#act(this.current);
    else if (key === "ArrowLeft" || key === "ArrowRight") this.#toggle(key === "ArrowRight");
    else if (key === "Escape") this.anchor = this.current;
    else return;
    event.preventDefault();
  };

  async #step(to: number, extend: boolean): Promise<void> {
    // A range is of lines of one file that follow each other.
    const from = this.#items[this.anchor];
    const [low, high] = [Math.min(this.anchor, to), Math.max(this.anchor, to)];
    const isRange = this.#items.slice(low, high + 1).every((item) => item.kind === "line" && isSameFile(item, from));
    if (extend && !isRange) return;
    this.current = to;
    if (!extend) this.anchor = to;
    await this.list.reveal(to);
  }

  /** Opens or closes the file that keys act on. Default: the other way round. */
  #toggle(open?: boolean): void {
    const item = this.#items[this.current];
    if (item === undefined || !("file" in item)) return;
    const { file } = item;
    this.#opened.set(file.path, open ?? !this.#isOpen(file));
    this.opened += 1;
    const header = this.#items.findIndex((each) => each.kind === "file" && each.file === file);
    if (open !== true) void this.#goTo(header);
  }

  #act(index: number): void {
    const item = this.#items[index];
    if (item?.kind === "file" || item?.kind === "more") this.#toggle(item.kind === "more" ? true : undefined);
    else if (item?.kind === "comment") this.#edit(item.comment);
    else if (item?.kind === "line") this.#comment();
  }

  readonly #onClick = (event: MouseEvent): void => {
    const target = event.target as HTMLElement;
    // A button that was clicked may be gone by now, and another row be in its place.
    if (!target.isConnected) return;
    const row = target.closest<HTMLElement>("[data-index]");
    const index = Number(row?.dataset["index"] ?? -1);
    const item = this.#items[index];
    if (item === undefined || item.kind === "comment" || item.kind === "draft") return;
    if (item.kind === "line" && target.closest(".number, .mark") === null) {
      // Text may be marked, as anywhere.
      if (!event.shiftKey) this.current = this.anchor = index;
      return;
    }
    if (item.kind !== "line" || !event.shiftKey || !isSameFile(item, this.#items[this.anchor])) this.anchor = index;
    this.current = index;
    // What was clicked may go.
    this.list.focus({ preventScroll: true });
    this.#act(index);
  };

  #comment(): void {
    if (this.comments === undefined) return;
    const [first, last] = this.#range();
    const found = placeOf(linesOf(this.#items.slice(first, last + 1)));
    if (found === undefined) return;
    this.#edit({ ...found.place, quote: found.quote, id: `${Date.now()}-${Math.random()}`, text: "" });
  }

  #edit(draft: Comment): void {
    // What was begun elsewhere is not lost.
    if (this.draft !== undefined && this.draft.text.trim() !== "") this.comments?.put(this.draft);
    this.draft = draft;
    void this.updateComplete.then(async () => {
      const at = this.#items.findIndex(({ kind }) => kind === "draft");
      await this.list.reveal(at);
      this.renderRoot.querySelector<HTMLTextAreaElement>("#draft")?.focus();
    });
  }

  readonly #write = (event: InputEvent): void => {
    if (this.draft === undefined || this.comments === undefined) return;
    this.draft = { ...this.draft, text: (event.target as HTMLTextAreaElement).value };
    // A reload loses nothing.
    this.comments.draft = this.draft;
  };

  readonly #save = (event: Event): void => {
    event.preventDefault();
    if (this.draft !== undefined) this.comments?.put(this.draft);
    this.#cancel();
  };

  readonly #cancel = (): void => {
    this.draft = undefined;
    if (this.comments !== undefined) this.comments.draft = undefined;
    this.anchor = this.current;
    void this.updateComplete.then(() => this.list.focus());
  };

  readonly #onDraftKey = (event: KeyboardEvent): void => {
    if (event.key === "Escape") this.#cancel();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#save(event);
    else return;
    event.stopPropagation();
  };
}

declare global {
  interface HTMLElementTagNameMap {
    "cc-diff": Diff;
  }
}
