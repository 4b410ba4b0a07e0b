import { escapeHidden, hiddenName } from "../present/plain-text.ts";
import { MASK, maskSecrets } from "./mask-secrets.ts";

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

/** Shorter ones would be found in other words. */
const MIN_LENGTH = 6;
/** The page's own: its style, and what stands in tags. */
const MARKUP = /(<style>[^]*?<\/style>|<[^>]*>)/;

/** Returns a page whose texts are without these secrets, as they are and as they stand in JSON. Those below six characters stay. */
export function withoutSecrets(page: string, secrets: readonly string[]): string {
  const forms = secrets
    .filter(({ length }) => length >= MIN_LENGTH)
    .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)])
    .map(escapeText)
    // One may be the beginning of another.
    .sort((one, other) => other.length - one.length);
  if (forms.length === 0) return page;
  const parts = page.split(MARKUP);
  return parts
    .map((part, index) => (index % 2 === 1 ? part : forms.reduce((text, form) => text.replaceAll(form, MASK), part)))
    .join("");
}

function toHtml(value: Value): string {
  if (value instanceof Html) return value.text;
  if (typeof value === "object") return value.map(({ text }) => text).join("");
  return escapeText(maskSecrets(String(value).toWellFormed()));
}

function escapeText(text: string): string {
  return escapeHidden(
    text.replace(/\r\n/g, "\n").replace(/[&<>"']/g, (character) => ESCAPES[character]!),
    (hidden) => `<b class="hidden">${hiddenName(hidden)}</b>`,
  );
}
