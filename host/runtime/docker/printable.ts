import { plainText } from "../../present/plain-text.ts";
import { cutChars } from "../../../proto/index.ts";

/** Returns a text from a container fit for people: cut, and without what could fool a terminal or a reader. */
export function printable(text: string, maxLength: number): string {
  const clean = plainText(text).trim();
  return clean.length <= maxLength ? clean : `${cutChars(clean, maxLength)}…`;
}
