const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A text that may have been shortened. */
export interface Cut {
  text: string;
  truncated: boolean;
  /** UTF-8 bytes of the whole text. */
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
