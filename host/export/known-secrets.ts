import { HIDDEN } from "../present/plain-text.ts";
import { escapeText } from "./html.ts";
import { MASK } from "./mask-secrets.ts";

/** Shorter ones would be found in other words. */
const MIN_LENGTH = 6;
/** The page's own: its style, and what stands in tags. */
const MARKUP = /(<style>[^]*?<\/style>|<[^>]*>)/;
/** Around a key. Without it, another key would no longer look like one. */
const ARMOR = /^-----(?:BEGIN|END) [^-]*-----$/;
/** What is seen: all but what hides in a text, and marks that alone are part of an emoji. */
const SEEN = /[^[\p{Cc}\p{Cs}\p{Default_Ignorable_Code_Point}\u2028\u2029\ufff9-\ufffb]--[\n\t]]+/gv;

/** Secrets that are known, to be left out of what is shown: as they are, as they stand in JSON, and of several lines each. */
export class KnownSecrets {
  readonly #inText: RegExp;
  readonly #inHtml: RegExp;

  /** Those below six characters stay. */
  constructor(secrets: readonly string[]) {
    const forms = secrets
      .flatMap((secret) => [secret, ...secret.split(/[\r\n]+/)])
      .flatMap((part) => [part.trim(), JSON.stringify(part.trim()).slice(1, -1)])
      .map((form) => form.toWellFormed().replace(HIDDEN, ""))
      .filter((form) => form.length >= MIN_LENGTH && !ARMOR.test(form))
      // One may be the beginning of another.
      .sort((one, other) => other.length - one.length);
    this.#inText = anyOf(forms);
    this.#inHtml = anyOf(forms.map(escapeText));
  }

  /** Returns a text without them, whatever hides in them. Only what is whole is found: nothing is cut or left out before. */
  outOf(text: string): string {
    const parts = [...text.matchAll(SEEN)];
    const seen = parts.map(([part]) => part).join("");
    if (seen.length === text.length) return text.replace(this.#inText, MASK);
    const places = new Uint32Array(seen.length);
    let count = 0;
    for (const { 0: part, index } of parts) for (let at = 0; at < part.length; at++) places[count++] = index + at;
    let shown = "";
    let from = 0;
    for (const { 0: found, index } of seen.matchAll(this.#inText)) {
      shown += text.slice(from, places[index]) + MASK;
      from = places[index + found.length - 1]! + 1;
    }
    return shown + text.slice(from);
  }

  /** Returns a message with all of its texts without them. */
  outOfAll<T>(value: T): T {
    if (typeof value === "string") return this.outOf(value) as T;
    if (Array.isArray(value)) return value.map((each: unknown) => this.outOfAll(each)) as T;
    if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
    const copy = Object.create(Object.getPrototypeOf(value) as object | null) as Record<string, unknown>;
    for (const [name, each] of Object.entries(value)) {
      // Which message it is, and which field of it.
      copy[name] = name === "$typeName" || name === "case" ? each : this.outOfAll(each as unknown);
    }
    return copy as T;
  }

  /** Returns a page whose texts are without them, also where only what was shown has made them readable. */
  outOfPage(page: string): string {
    const parts = page.split(MARKUP);
    return parts.map((part, index) => (index % 2 === 1 ? part : part.replace(this.#inHtml, MASK))).join("");
  }
}

/** Matches any of these texts, and what stands for a secret already, which stays. */
function anyOf(texts: readonly string[]): RegExp {
  const exactly = (text: string) =>
    text.replace(/[^]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
  return new RegExp([MASK, ...texts].map(exactly).join("|"), "gv");
}
