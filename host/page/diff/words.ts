/** Part of a line, from its first character to the one after its last. */
export interface Span {
  from: number;
  to: number;
}

/** Longer lines are not looked at. */
const MAX_LENGTH = 1000;
const WORD = /[\p{L}\p{N}_]/u;

/**
 * Returns what differs between a line and the one that took its place, in whole words. Undefined: nothing does, or so much that
 * saying so would be no help.
 */
export function changedWords(old: string, made: string): { old: Span; made: Span } | undefined {
  if (old === made || old.length > MAX_LENGTH || made.length > MAX_LENGTH) return undefined;
  const shorter = Math.min(old.length, made.length);
  let from = 0;
  while (from < shorter && old[from] === made[from]) from += 1;
  while (from > 0 && (inWord(old, from) || inWord(made, from))) from -= 1;
  let end = 0;
  while (end < shorter - from && old[old.length - 1 - end] === made[made.length - 1 - end]) end += 1;
  while (end > 0 && (inWord(old, old.length - end) || inWord(made, made.length - end))) end -= 1;
  if (old.slice(0, from).trim().length + end < shorter / 4) return undefined;
  return { old: { from, to: old.length - end }, made: { from, to: made.length - end } };
}

/** Whether a place is in the middle of a word, or of a character. */
function inWord(text: string, at: number): boolean {
  return at > 0 && at < text.length && isWord(text, at - 1) && isWord(text, at);
}

function isWord(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return (code >= 0xd800 && code <= 0xdfff) || WORD.test(text[at]!);
}
