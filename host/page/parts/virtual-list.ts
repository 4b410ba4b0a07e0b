import { html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import { topsOf, visibleRange } from "./visible-range.ts";

/** Height beyond what is seen that is rendered, each way (px). */
const MARGIN = 400;

/**
 * List that renders what is seen of its items, and little more. It scrolls itself, so it needs a height from its parent, and it
 * renders into its parent's tree: the parent's styles hold for the rows.
 */
@customElement("cc-virtual-list")
export class VirtualList<T> extends LitElement {
  /** All items; a new array where they change. */
  @property({ attribute: false }) accessor items: readonly T[] = [];
  /** Renders an item. */
  @property({ attribute: false }) accessor renderRow: (item: T, index: number) => TemplateResult = () => html``;
  /** Tells an item's height in px; with `measure` a guess. */
  @property({ attribute: false }) accessor heightOf: (item: T, index: number) => number = () => 24;
  /** Tells an item from the others, for as long as it is the same. Default: its place. */
  @property({ attribute: false }) accessor keyOf: (item: T, index: number) => unknown = (_item, index) => index;
  /** Role of the rows. "none": the role is that of what is rendered in them. */
  @property() accessor rowRole = "listitem";
  /** Whether rows are as high as what is in them, and are measured. */
  @property({ type: Boolean }) accessor measure = false;

  #measured = new Map<unknown, number>();
  /** Whether a row turned out to be of another height. */
  #isMoved = false;
  #tops: Float64Array = new Float64Array(1);
  readonly #resized = new ResizeObserver(() => this.requestUpdate());

  protected override createRenderRoot(): this {
    return this;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.style.cssText = "display: block; overflow: auto; overflow-anchor: none; contain: strict;";
    this.addEventListener("scroll", this.#onScroll, { passive: true });
    this.#resized.observe(this);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.removeEventListener("scroll", this.#onScroll);
    this.#resized.disconnect();
  }

  /** Scrolls no further than it takes to see an item whole, or to have it on top, and resolves once it is rendered. */
  async reveal(index: number, { top: onTop = false } = {}): Promise<void> {
    await this.updateComplete;
    const [top, bottom] = [this.#tops[index] ?? 0, this.#tops[index + 1] ?? 0];
    if (onTop || top < this.scrollTop) this.scrollTop = top;
    else if (bottom > this.scrollTop + this.clientHeight) this.scrollTop = bottom - this.clientHeight;
    this.requestUpdate();
    await this.updateComplete;
  }

  /** The first item that is seen, by its place. */
  get firstSeen(): number {
    return visibleRange(this.#tops, { from: this.scrollTop, to: this.scrollTop + 1 })[0];
  }

  /** Returns where an item begins (px), from the top of all. */
  topOf(index: number): number {
    return this.#tops[index] ?? 0;
  }

  /** Returns the rendered row of an item. Undefined: it is not rendered. */
  rowAt(index: number): HTMLElement | undefined {
    return this.querySelector<HTMLElement>(`:scope > div > [data-index="${index}"]`) ?? undefined;
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (!this.#isMoved && !["items", "heightOf", "keyOf", "measure"].some((name) => changed.has(name))) return;
    this.#isMoved = false;
    const height = (item: T, index: number) =>
      (this.measure ? this.#measured.get(this.keyOf(item, index)) : undefined) ?? this.heightOf(item, index);
    this.#tops = topsOf(this.items, height);
  }

  override render(): TemplateResult {
    const { items } = this;
    const total = this.#tops[items.length]!;
    // Of a shorter list it cannot be scrolled as far.
    const scrolled = Math.max(0, Math.min(this.scrollTop, total - this.clientHeight));
    const [start, end] = visibleRange(this.#tops, {
      from: scrolled - MARGIN,
      to: scrolled + this.clientHeight + MARGIN,
    });
    const shown = Array.from({ length: end - start }, (_, offset) => start + offset);
    return html`<div role="presentation" .style=${`position: relative; height: ${total}px`}>
      ${repeat(
        shown,
        (index) => this.keyOf(items[index]!, index),
        (index) =>
          html`<div
            role=${this.rowRole}
            data-index=${index}
            aria-setsize=${this.rowRole === "none" ? nothing : items.length}
            aria-posinset=${this.rowRole === "none" ? nothing : index + 1}
            .style=${this.#place(index)}
          >
            ${this.renderRow(items[index]!, index)}
          </div>`,
      )}
    </div>`;
  }

  protected override updated(): void {
    if (this.measure) this.#measure();
  }

  readonly #onScroll = () => this.requestUpdate();

  #place(index: number): string {
    const [top, bottom] = [this.#tops[index]!, this.#tops[index + 1]!];
    const height = this.measure ? "" : `; height: ${bottom - top}px`;
    return `position: absolute; inset-inline: 0; top: ${top}px${height}`;
  }

  /** What is seen stays where it is when rows above turn out to be higher or lower. */
  #measure(): void {
    let moved = 0;
    let changed = false;
    for (const row of this.querySelectorAll<HTMLElement>(":scope > div > [data-index]")) {
      const index = Number(row.dataset["index"]);
      const key = this.keyOf(this.items[index]!, index);
      const height = row.offsetHeight;
      const before = this.#tops[index + 1]! - this.#tops[index]!;
      this.#measured.set(key, height);
      if (height === before) continue;
      changed = true;
      if (this.#tops[index]! < this.scrollTop) moved += height - before;
    }
    if (!changed) return;
    this.#isMoved = true;
    this.requestUpdate();
    if (moved !== 0) void this.updateComplete.then(() => (this.scrollTop += moved));
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "cc-virtual-list": VirtualList<unknown>;
  }
}
