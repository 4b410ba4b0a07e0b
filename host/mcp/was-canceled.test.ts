import { expect, test } from "vitest";
import { wasCanceled } from "./was-canceled.ts";

test.each(["AbortError: user-cancel", "AbortError: remote-cancel", "AbortError: interrupt", "Error: enough", ""])(
  "%j was wanted",
  (reason) => expect(wasCanceled(reason)).toBe(true),
);

test.each([
  "McpError: MCP error -32001: Request timed out",
  "SdkError: Request timed out",
  "TimeoutError: The operation was aborted due to timeout",
  "AbortError: shutdown",
  "AbortError: background",
  new DOMException("This operation was aborted", "AbortError"),
  new Error("Connection closed"),
  undefined,
])("%s was not", (reason) => expect(wasCanceled(reason)).toBe(false));
