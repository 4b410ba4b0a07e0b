import { visible } from "../parts/plain-text.ts";
import { languageOf, type Token, tokenize } from "./languages.ts";
import type { PatchedFile } from "./patch.ts";

/** Lines that are read together. What spans more, as a long comment, is not seen as one. */
const BLOCK_LINES = 100;
/** Characters of a line that are shown: a browser lays them out at once. */
const SHOWN_LENGTH = 2000;
/** Longer lines have no colors. */
const COLORED_LENGTH = 1000;
/** Characters that are read together: some languages' rules take a quarter of a second for these, and four times as long for twice as many. */
const COLORED_BLOCK_LENGTH = 10_000;

/** Line as it is shown, without its mark. */
export interface ShownLine {
  text: string;
  /** Characters that are left out. */
  cut: number;
}

/** Returns a line of a file as it is shown. */
export function shownLine({ lines }: PatchedFile, at: number): ShownLine {
  const line = lines[at]!;
  // A line end of another system is one, too.
  const end = line.endsWith("\r") ? -1 : undefined;
  const kept = line.slice(1, end).slice(0, SHOWN_LENGTH);
  return { text: visible(kept), cut: line.length - 1 + (end ?? 0) - kept.length };
}

/** Blocks that are remembered. */
const MAX_BLOCKS = 100;

/** Colors of files' lines. They are found block by block, for the lines that are asked for, and remembered for a while. */
export class Colors {
  #blocks = new WeakMap<PatchedFile, Map<number, Map<number, Token[]>>>();
  #count = 0;

  /** Returns the tokens of a line, of the text that `shownLine` gives. */
  of(file: PatchedFile, at: number): Token[] {
    const language = languageOf(file.path);
    const { text } = shownLine(file, at);
    const plain = [{ text, name: "" }];
    if (language === undefined || text.length > COLORED_LENGTH) return plain;
    const hunk = file.hunks.find(({ from, to }) => at >= from && at < to);
    if (hunk === undefined) return plain;
    const from = at - ((at - hunk.from) % BLOCK_LINES);
    let blocks = this.#blocks.get(file);
    if (blocks === undefined) this.#blocks.set(file, (blocks = new Map()));
    let block = blocks.get(from);
    if (block === undefined) {
      this.#makeRoom();
      block = readBlock(file, { from, to: Math.min(hunk.to, from + BLOCK_LINES), language });
      blocks.set(from, block);
    }
    return block.get(at) ?? plain;
  }

  #makeRoom(): void {
    this.#count += 1;
    if (this.#count <= MAX_BLOCKS) return;
    this.#count = 1;
    this.#blocks = new WeakMap();
  }
}

/** Reads the old and the new lines of a block, each as the text that they were. */
function readBlock(
  file: PatchedFile,
  { from, to, language }: { from: number; to: number; language: string },
): Map<number, Token[]> {
  const block = new Map<number, Token[]>();
  for (const mark of ["-", "+"]) {
    const places: number[] = [];
    let found = false;
    for (let at = from; at < to; at++) {
      const is = file.lines[at]!.charAt(0);
      found ||= is === mark;
      if (is === " " || is === mark) places.push(at);
    }
    if (!found && mark === "-") continue;
    const texts = places.map((at) => shownLine(file, at).text);
    let room = COLORED_BLOCK_LENGTH;
    const colored = texts.map(({ length }) => length <= COLORED_LENGTH && (room -= length) >= 0);
    const tokens = tokenize(
      texts.map((text, index) => (colored[index] ? text : "")),
      language,
    );
    for (const [index, at] of places.entries()) {
      if (tokens !== undefined && colored[index]) block.set(at, tokens[index]!);
    }
  }
  return block;
}
