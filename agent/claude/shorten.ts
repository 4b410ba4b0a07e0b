import { cutText } from "../../proto/index.ts";

/** JSON that may have been shortened, and is still JSON. */
export interface ShortJson {
  text: string;
  truncated: boolean;
  /** Bytes of the whole. */
  sizeBytes: number;
}

/** Strings in a tool's input are cut at the first of these that makes the whole fit. */
const STRING_BYTES = [4096, 512, 64];

/** Returns a value as JSON of at most `maxBytes`, with long strings cut. */
export function shortenJson(value: unknown, maxBytes: number): ShortJson {
  const whole = JSON.stringify(value) ?? "null";
  const sizeBytes = Buffer.byteLength(whole);
  if (sizeBytes <= maxBytes) return { text: whole, truncated: false, sizeBytes };
  for (const stringBytes of STRING_BYTES) {
    const text = JSON.stringify(value, (_key, part: unknown) =>
      typeof part === "string" ? shortenString(part, stringBytes) : part,
    );
    if (Buffer.byteLength(text) <= maxBytes) return { text, truncated: true, sizeBytes };
  }
  // Very many small parts. Half of the room, since quotes and backslashes double.
  return { text: JSON.stringify(cutText(whole, maxBytes / 2 - 2).text), truncated: true, sizeBytes };
}

function shortenString(text: string, maxBytes: number): string {
  const cut = cutText(text, maxBytes);
  return cut.truncated ? `${cut.text}… (${cut.sizeBytes} bytes)` : text;
}
