import { plainText } from "../present/plain-text.ts";

/**
 * Returns a whole patch as the contents of a resource: as text if it is UTF-8 without anything that could fool a
 * terminal or a reader, otherwise as bytes. Its line ends may be of either kind.
 */
export function patchContents(uri: string, patch: Buffer) {
  const text = patch.toString("utf8");
  const mimeType = "text/x-diff";
  const shown = text.replaceAll("\r\n", "\n");
  if (plainText(shown) === shown && Buffer.from(text, "utf8").equals(patch)) return { uri, mimeType, text };
  return { uri, mimeType, blob: patch.toString("base64") };
}
