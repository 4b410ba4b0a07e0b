import { plainText } from "../present/plain-text.ts";

/**
 * Returns a patch as a resource's contents, whole: as text where that is UTF-8 without anything that a terminal or a
 * reader could be fooled with, and as bytes otherwise. Line ends may be of either kind.
 */
export function patchContents(uri: string, patch: Buffer) {
  const text = patch.toString("utf8");
  const mimeType = "text/x-diff";
  const shown = text.replaceAll("\r\n", "\n");
  if (plainText(shown) === shown && Buffer.from(text, "utf8").equals(patch)) return { uri, mimeType, text };
  return { uri, mimeType, blob: patch.toString("base64") };
}
