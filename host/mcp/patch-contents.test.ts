import { expect, test } from "vitest";
import { patchContents } from "./patch-contents.ts";

const URI = "claudecluster://sessions/x/patch";

test.each(["", "+one\n-two\n", "+one\r\n", "+größer\t\u{1f600}\n"])("gives %j as text", (text) => {
  expect(patchContents(URI, Buffer.from(text))).toEqual({ uri: URI, mimeType: "text/x-diff", text });
});

test.each([
  ["bytes that are no text", Buffer.from([0x2b, 0xff, 0x0a])],
  ["an escape sequence", Buffer.from("+\x1b[2J\n")],
  ["a line that is written over", Buffer.from("+evil()\r+good()\n")],
  ["text that is reordered", Buffer.from("+\u202e)live(\n")],
])("gives %s as bytes, whole", (_what, patch) => {
  expect(patchContents(URI, patch)).toEqual({ uri: URI, mimeType: "text/x-diff", blob: patch.toString("base64") });
});
