const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Text that may have been shortened. */
export interface Cut {
  text: string;
  truncated: boolean;
  /** Bytes of UTF-8 that the whole text has. */
  sizeBytes: number;
}

/** Cuts a text to at most `maxBytes` of UTF-8, never inside a character. */
export function cutText(text: string, maxBytes: number): Cut {
  // Most texts are short: three bytes a UTF-16 unit is the most that UTF-8 needs.
  if (text.length * 3 <= maxBytes)
    return { text: text.toWellFormed(), truncated: false, sizeBytes: encoder.encode(text).length };
  const bytes = encoder.encode(text);
  if (bytes.length <= maxBytes) return { text: text.toWellFormed(), truncated: false, sizeBytes: bytes.length };
  let end = maxBytes;
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
  return { text: decoder.decode(bytes.subarray(0, end)), truncated: true, sizeBytes: bytes.length };
}

/** Returns the end of a text, at most `maxBytes` of UTF-8, never from inside a character. */
export function lastBytes(text: string, maxBytes: number): string {
  const bytes = encoder.encode(text);
  let start = Math.max(0, bytes.length - maxBytes);
  while (start < bytes.length && (bytes[start]! & 0xc0) === 0x80) start++;
  return decoder.decode(bytes.subarray(start));
}

/**
 * Cuts a text to at most `maxLength` UTF-16 units, never inside a character. Halves of characters that were in it
 * before are replaced: the model's API refuses a whole conversation with one in it.
 */
export function cutChars(text: string, maxLength: number): string {
  const splits = text.length > maxLength && isHighSurrogate(text.charCodeAt(maxLength - 1));
  return text.slice(0, Math.max(0, splits ? maxLength - 1 : maxLength)).toWellFormed();
}

/**
 * Returns the end of a text, at most `maxLength` UTF-16 units of it. Halves of characters are treated as by `cutChars`.
 */
export function lastChars(text: string, maxLength: number): string {
  const start = Math.max(0, text.length - maxLength);
  const splits = start > 0 && isHighSurrogate(text.charCodeAt(start - 1));
  return text.slice(splits ? start + 1 : start).toWellFormed();
}

function isHighSurrogate(unit: number): boolean {
  return (unit & 0xfc00) === 0xd800;
}
