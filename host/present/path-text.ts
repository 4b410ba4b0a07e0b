import { cutChars, quotePath, type RawPath, rawPathOf, unquotePath } from "../../proto/index.ts";
import { escapeHidden, oneLine } from "./plain-text.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What a path of 4096 bytes comes to at most. */
const MAX_LENGTH = 4 * 4096 + 2;
/** Spaces that are none, and characters that pose as "/", "\", "." and '"'. */
const POSING = /[\p{Zs}--\x20]|[\u2800\u2024\ufe52\uff0e\u2044\u2215\u29f8\uff0f\u2216\u29f5\ufe68\uff3c\uff02]/gv;
const WORD = /\p{L}+/gu;
const LATIN = /\p{Script=Latin}/u;
/** Letters of which many look like Latin ones. */
const LIKE_LATIN = /[\p{Script=Cyrillic}\p{Script=Greek}]/gu;

/**
 * Returns a path for people that git has quoted: größe.txt, and not "gr\303\266\303\237e.txt". A path with control
 * characters, invisible ones, or ones that pose as others stays quoted; one whose bytes are no text stays as it is. It
 * is cut to `maxLength` UTF-16 units. Default: more than any system allows.
 */
export function pathText(path: string, maxLength = MAX_LENGTH): string {
  const text = textOf(path);
  if (text === undefined) return oneLine(path, maxLength);
  const shown = escapeHidden(text.replace(/["\\]/g, "\\$&"), octal)
    .replace(/\n/g, "\\n")
    .replace(/\t/g, "\\t")
    .replace(POSING, octal)
    .replace(WORD, (word) => (LATIN.test(word) ? word.replace(LIKE_LATIN, octal) : word));
  const line = shown === text ? text : `"${shown}"`;
  return line.length <= maxLength ? line : `${cutChars(line, maxLength - 1)}…`;
}

/** Returns a path for people that is as git holds it. As pathText does. */
export function rawPathText(path: RawPath): string {
  return pathText(quotePath(path));
}

/** Returns a path for people that the system or somebody gave as text. As pathText does. */
export function givenPathText(path: string): string {
  return rawPathText(rawPathOf(path.toWellFormed()));
}

/** The path that is meant; undefined if its bytes are no text, or it is not as git writes it. */
function textOf(path: string): string | undefined {
  try {
    return decoder.decode(unquotePath(path));
  } catch {
    // Not UTF-8.
    return undefined;
  }
}

function octal(text: string): string {
  return Array.from(encoder.encode(text), (byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
}
