import { createReadStream, openSync } from "node:fs";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { Plain } from "../../test/support/screen.ts";
import type { Sessions } from "../session/sessions.ts";
import { mcpCommand } from "./mcp.ts";

const link = { sessions: {} as Sessions, connect: () => Promise.resolve() };

function ioOn(stdin: NodeJS.ReadableStream, stdout: NodeJS.WritableStream = new Plain()) {
  const { signal } = new AbortController();
  return {
    stdin: stdin as NodeJS.ReadStream,
    stdout,
    stderr: new Plain(),
    env: { CLAUDECLUSTER_LOG_LEVEL: "silent" },
    signal,
  };
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

test("ends where its answers cannot be written", async () => {
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  const ended = mcpCommand(link, ioOn(stdin, stdout));
  stdout.destroy(new Error("nobody reads any more"));
  expect(await ended).toBe(0);
});

// What Claude Code 2.1.332 sends: a probe of the newer protocol first, and the older one's opening where
// that has not been answered after some seconds.
const DISCOVER = {
  id: "server-discover-probe-1",
  method: "server/discover",
  params: {
    _meta: {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientInfo": { name: "claude-code", version: "2.1.332" },
      "io.modelcontextprotocol/clientCapabilities": {},
    },
  },
};
const INITIALIZE = {
  id: 0,
  method: "initialize",
  params: {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "claude-code", version: "2.1.332" },
  },
};
const INITIALIZED = { method: "notifications/initialized" };
const LIST_TOOLS = { id: 1, method: "tools/list" };

interface Tool {
  name: string;
  annotations: { readOnlyHint: boolean };
}

/** A client with a pipe of its own for each direction. */
function connect() {
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  const ended = mcpCommand(link, ioOn(stdin, stdout));
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  return {
    ended,
    send: (...messages: object[]) =>
      stdin.write(messages.map((message) => `${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`).join("")),
    /** The next answer; undefined if the server has ended instead. */
    answer: async () => {
      const line = await Promise.race([lines.next(), ended.then(() => undefined)]);
      return line?.done === false ? (JSON.parse(line.value) as { id?: unknown }) : undefined;
    },
    leave: () => stdin.end(),
  };
}

const DISCOVERED = { id: DISCOVER.id, result: { supportedVersions: ["2026-07-28"] } };
const INITIALIZED_WITH = { id: 0, result: { protocolVersion: "2025-11-25" } };
const TOOLS = {
  id: 1,
  result: { tools: expect.arrayContaining([expect.objectContaining({ name: "list_sessions" })]) as unknown },
};

test("serves a client that opens with the newer protocol and falls back at once", async () => {
  const client = connect();
  client.send(DISCOVER, INITIALIZE, INITIALIZED, LIST_TOOLS);
  for (const answer of [DISCOVERED, INITIALIZED_WITH, TOOLS]) expect(await client.answer()).toMatchObject(answer);
  client.leave();
  expect(await client.ended).toBe(0);
});

test("serves a client that falls back although it was answered", async () => {
  const client = connect();
  client.send(DISCOVER);
  expect(await client.answer()).toMatchObject(DISCOVERED);
  client.send(INITIALIZE);
  expect(await client.answer()).toMatchObject(INITIALIZED_WITH);
  client.send(INITIALIZED, LIST_TOOLS);
  expect(await client.answer()).toMatchObject(TOOLS);
  client.leave();
  expect(await client.ended).toBe(0);
});

test("serves a client that opens with the older protocol and asks for the newer one", async () => {
  const client = connect();
  client.send(INITIALIZE, DISCOVER, INITIALIZED, LIST_TOOLS);
  const answers = [await client.answer(), await client.answer(), await client.answer()];
  for (const answer of [INITIALIZED_WITH, { id: DISCOVER.id, error: { code: -32601 } }, TOOLS])
    expect(answers.find(({ id } = {}) => id === answer.id)).toMatchObject(answer);
  client.leave();
  expect(await client.ended).toBe(0);
});

test("says of the tools that only read that they do, and of no other: clients overlap these calls, or do not ask", async () => {
  const client = connect();
  client.send(INITIALIZE, INITIALIZED, LIST_TOOLS);
  await client.answer();
  const { result } = (await client.answer()) as { result: { tools: Tool[] } };
  const reading = result.tools.filter(({ annotations }) => annotations.readOnlyHint).map(({ name }) => name);
  expect(reading).toEqual(["list_sessions", "get_session", "wait_session", "compare_sessions", "read_changes"]);
  client.leave();
  await client.ended;
});

test("an argument that a tool does not know is refused with the one that was meant", async () => {
  const client = connect();
  const params = { name: "spawn_claude_container", arguments: { task: "x", end_with_cal: true } };
  client.send(INITIALIZE, INITIALIZED, { id: 1, method: "tools/call", params });
  await client.answer();
  expect(JSON.stringify(await client.answer())).toMatch(/no argument .*end_with_cal.* Did you mean end_with_call\?/);
  client.leave();
  await client.ended;
});
