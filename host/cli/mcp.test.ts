import { createReadStream, openSync } from "node:fs";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { Plain } from "../../test/support/screen.ts";
import type { Sessions } from "../session/sessions.ts";
import { mcpCommand } from "./mcp.ts";

const link = { sessions: {} as Sessions, connect: () => Promise.resolve() };

function ioOn(stdin: NodeJS.ReadableStream) {
  const { signal } = new AbortController();
  return { stdin: stdin as NodeJS.ReadStream, stdout: new Plain(), stderr: new Plain(), env: {}, signal };
}

test("ends once its input has ended, also where nothing closes it", async () => {
  // As Node opens a file or a device on standard input.
  const stdin = createReadStream("", { fd: openSync("/dev/null", "r"), autoClose: false });
  expect(await mcpCommand(link, ioOn(stdin))).toBe(0);
  stdin.destroy();
});

test("ends where its input had ended before", async () => {
  const stdin = new PassThrough({ autoDestroy: false });
  stdin.end().resume();
  await once(stdin, "end");
  expect(await mcpCommand(link, ioOn(stdin))).toBe(0);
});
