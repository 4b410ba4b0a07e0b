import { Colors, shownLine } from "./highlight.ts";
import type { Token } from "./languages.ts";
import type { PatchedFile } from "./patch.ts";
import { counterpart } from "./rows.ts";
import { changedWords, type Span } from "./words.ts";

/** Part of a line as it is shown. */
export interface Segment extends Token {
  /** Whether it differs from the line that was there before, or took its place. */
  changed: boolean;
}

/** Line as it is shown. */
export interface LineText {
  segments: Segment[];
  /** Characters that are left out. */
  cut: number;
}

/** Lines that are remembered. */
const MAX_LINES = 2000;

/** Texts of files' lines, with colors and what has changed in them. Each is made when it is first shown. */
export class LineTexts {
  readonly #colors = new Colors();
  #lines = new WeakMap<PatchedFile, Map<number, LineText>>();
  #count = 0;

  /** Returns a line of a file, by its place in the file's lines. */
  of(file: PatchedFile, at: number): LineText {
    const known = this.#lines.get(file)?.get(at);
    if (known !== undefined) return known;
    if (++this.#count > MAX_LINES) [this.#count, this.#lines] = [1, new WeakMap()];
    const tokens = this.#colors.of(file, at);
    const made = { segments: cutAt(tokens, changedIn(file, at)), cut: shownLine(file, at).cut };
    const lines = this.#lines.get(file) ?? new Map<number, LineText>();
    this.#lines.set(file, lines.set(at, made));
    return made;
  }
}

function changedIn(file: PatchedFile, at: number): Span | undefined {
  const other = counterpart(file, at);
  if (other === -1) return undefined;
  const [old, made] = [Math.min(at, other), Math.max(at, other)];
  const spans = changedWords(shownLine(file, old).text, shownLine(file, made).text);
  return at === old ? spans?.old : spans?.made;
}

/** Cuts tokens where what has changed begins and ends. */
function cutAt(tokens: readonly Token[], span: Span | undefined): Segment[] {
  if (span === undefined) return tokens.map((token) => ({ ...token, changed: false }));
  const segments: Segment[] = [];
  let start = 0;
  for (const { text, name } of tokens) {
    const [from, to] = [span.from - start, span.to - start].map((at) => Math.max(0, Math.min(at, text.length)));
    const parts = [
      { text: text.slice(0, from), changed: false },
      { text: text.slice(from, to), changed: true },
      { text: text.slice(to), changed: false },
    ];
    segments.push(...parts.filter((part) => part.text !== "").map((part) => ({ ...part, name })));
    start += text.length;
  }
  return segments;
}
