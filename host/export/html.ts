import { escapeHidden, hiddenName } from "../present/plain-text.ts";
import { maskSecrets } from "./mask-secrets.ts";

const ESCAPES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Piece of HTML that is right as it is. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Value = Html | string | number | readonly Html[];

/** Returns HTML of a template, in which every value but HTML is text: without secrets, and with what hides in it shown. */
export function html(strings: TemplateStringsArray, ...values: Value[]): Html {
  return new Html(strings.reduce((before, after, index) => before + toHtml(values[index - 1]!) + after));
}

function toHtml(value: Value): string {
  if (value instanceof Html) return value.text;
  if (typeof value === "object") return value.map(({ text }) => text).join("");
  return escapeText(maskSecrets(String(value).toWellFormed()));
}

/** Returns a text as HTML, with what hides in it shown. */
export function escapeText(text: string): string {
  return escapeHidden(
    text.replace(/\r\n/g, "\n").replace(/[&<>"']/g, (character) => ESCAPES[character]!),
    (hidden) => `<b class="hidden">${hiddenName(hidden)}</b>`,
  );
}
