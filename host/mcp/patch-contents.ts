import { plainText } from "../present/plain-text.ts";

/**
 * Returns a whole patch as the contents of a resource: as text if it is UTF-8 without anything that could fool a
 * terminal or a reader, otherwise as bytes. Its line ends may be of either kind.
 */
export function patchContents(uri: string, patch: Buffer) {
  return contentsOf(uri, patch, { text: "text/x-diff", bytes: "text/x-diff" });
}

/** Returns a file as the contents of a resource, as patchContents does a patch. */
export function fileContents(uri: string, file: Buffer) {
  return contentsOf(uri, file, { text: "text/plain", bytes: "application/octet-stream" });
}

function contentsOf(uri: string, content: Buffer, types: { text: string; bytes: string }) {
  const text = content.toString("utf8");
  const shown = text.replaceAll("\r\n", "\n");
  if (plainText(shown) === shown && Buffer.from(text, "utf8").equals(content))
    return { uri, mimeType: types.text, text };
  return { uri, mimeType: types.bytes, blob: content.toString("base64") };
}
