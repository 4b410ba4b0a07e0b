import { html, type TemplateResult } from "lit";
import { cutChars } from "../../../proto/index.ts";
import { escapeHidden, HIDDEN, hiddenName } from "../../present/plain-text.ts";

/** A stretch of text, or a character that would not be seen, by its number. */
export type TextPart = { text: string } | { hidden: string };

/** Cuts a text into what can be seen and what is named instead, such as U+202E. Tabs and line feeds stay. */
export function textParts(text: string): TextPart[] {
  const parts: TextPart[] = [];
  let from = 0;
  for (const { 0: character, index } of text.matchAll(HIDDEN)) {
    if (index > from) parts.push({ text: text.slice(from, index) });
    parts.push({ hidden: hiddenName(character) });
    from = index + character.length;
  }
  if (from < text.length) parts.push({ text: text.slice(from) });
  return parts;
}

/** Returns a text in which what is hidden is written out, such as ⟨U+202E⟩: for where there can be no elements. */
export function visible(text: string): string {
  return escapeHidden(text.toWellFormed(), (hidden) => `⟨${hiddenName(hidden)}⟩`);
}

/** Shows a text from elsewhere as what it is: nothing of it is markup, hidden, or turned around. */
export function plainText(text: string): TemplateResult {
  // Each on its own, so that what is written from the right stays where it is.
  return html`<bdi
    >${textParts(text).map((part) =>
      "text" in part ? part.text : html`<span class="made-visible">${part.hidden}</span>`,
    )}</bdi
  >`;
}

/** Shows the beginning of a text in one line. */
export function oneLine(text: string, maxLength = 300): TemplateResult {
  const cut = text.length > maxLength ? `${cutChars(text, maxLength)}…` : text;
  return plainText(cut.replace(/[\t\n\r ]+/g, " ").trim());
}
