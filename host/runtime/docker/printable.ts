import { plainText } from "../../present/plain-text.ts";
import { cutChars } from "../../../proto/index.ts";

/** Text from a container, for people: without what could fool a terminal or a reader, and cut. */
export function printable(text: string, maxLength: number): string {
  const clean = plainText(text).trim();
  return clean.length <= maxLength ? clean : `${cutChars(clean, maxLength)}…`;
}
