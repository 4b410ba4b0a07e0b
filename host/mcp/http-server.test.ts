import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as OlderClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as OlderTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { expect, onTestFinished, test, vi } from "vitest";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import { callersWith } from "../callers/callers.ts";
import { createLogger } from "../logger.ts";
import { Session_State as State } from "../../proto/index.ts";
import { MCPServer } from "./mcp-server.ts";
import { serveHttp } from "./http-server.ts";
import { DATA } from "./tool-result.ts";

const TOKEN = "token-of-the-test";
const requestInit = { headers: { authorization: `Bearer ${TOKEN}` } };
const spawn = { name: "spawn_claude_container", arguments: { task: "wait", end_with_call: true } };

async function serve(sessions: MemorySessions, address = "127.0.0.1:0") {
  const server = new MCPServer({
    sessions,
    version: "1.0.0",
    logger: createLogger("silent"),
  });
  const serve = () => server.httpHandler();
  return await serveHttp({ address, callers: callersWith(TOKEN), allowedHosts: [], serve });
}

async function start() {
  const sessions = new MemorySessions();
  const server = await serve(sessions);
  onTestFinished(async () => {
    await server[Symbol.asyncDispose]();
    sessions[Symbol.dispose]();
  });
  return { sessions, url: new URL(server.url) };
}

async function connectOlder(url: URL) {
  const client = new OlderClient({ name: "older", version: "1.0.0" });
  // exactOptionalPropertyTypes is not that SDK's.
  await client.connect(new OlderTransport(url, { requestInit }) as Parameters<typeof client.connect>[0]);
  onTestFinished(() => client.close());
  return client;
}

async function connectNewer(url: URL) {
  const client = new Client({ name: "newer", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });
  await client.connect(new StreamableHTTPClientTransport(url, { requestInit }));
  onTestFinished(() => client.close());
  return client;
}

async function states(sessions: MemorySessions): Promise<State[]> {
  return (await sessions.list({})).sessions.map(({ state }) => state);
}

const CONNECT = { older: connectOlder, newer: connectNewer };

test("says plainly that it sees no directory of the caller's", async () => {
  const { sessions, url } = await start();
  const client = await connectNewer(url);
  expect(client.getInstructions()).toContain("this server is on another machine");
  const { tools } = await client.listTools();
  expect(tools.find(({ name }) => name === spawn.name)?.description).toContain("sees no directory of yours");
  for (const repository of [".", "../x", "/srv/x", "~/x", "file:///x", "C:\\x"]) {
    const answer = await client.callTool({ name: spawn.name, arguments: { task: "x", repository } });
    expect(answer).toMatchObject({ isError: true });
    expect(JSON.stringify(answer.content)).toMatch(/REPOSITORY_ELSEWHERE.*CLAUDECLUSTER_HOST|CLAUDECLUSTER_HOST.*/);
  }
  expect(await states(sessions)).toEqual([]);
});

test.each(["older", "newer"] as const)("a cancel in the %s protocol ends the session of the call", async (kind) => {
  const { sessions, url } = await start();
  const client = await CONNECT[kind](url);
  const call = new AbortController();
  const options = { signal: call.signal };
  const calling =
    client instanceof OlderClient ? client.callTool(spawn, undefined, options) : client.callTool(spawn, options);
  calling.catch(() => {});
  await vi.waitUntil(async () => (await states(sessions)).length === 1, 20_000);
  call.abort();
  await expect(calling).rejects.toThrow();
  await expect.poll(() => states(sessions)).toEqual([State.CANCELED]);
  await expect.poll(() => sessions.watcherCount).toBe(0);
  expect((await client.listTools()).tools.length).toBeGreaterThan(0);
});

test("a cancel is for the call of its own client, whose numbers others use too", async () => {
  const { sessions, url } = await start();
  const [one, other] = [await connectOlder(url), await connectOlder(url)];
  const call = new AbortController();
  const calling = one.callTool(spawn, undefined, { signal: call.signal });
  calling.catch(() => {});
  await vi.waitUntil(async () => (await states(sessions)).length === 1, 20_000);
  const going = other.callTool(spawn);
  await vi.waitUntil(async () => (await states(sessions)).length === 2, 20_000);
  call.abort();
  await expect.poll(() => states(sessions)).toEqual([State.QUEUED, State.CANCELED]);
  sessions.finish((await sessions.list({})).sessions[0]!.id);
  expect(await going).toMatchObject({ _meta: { [DATA]: { state: "succeeded" } } });
});

test("a client of the host before is served on, and so is one that never said hello", async () => {
  const sessions = new MemorySessions();
  const before = await serve(sessions);
  const client = await connectOlder(new URL(before.url));
  await before[Symbol.asyncDispose]();
  const server = await serve(sessions, new URL(before.url).host);
  onTestFinished(() => server[Symbol.asyncDispose]());
  expect((await client.listTools()).tools.length).toBeGreaterThan(0);
  const response = await fetch(server.url, {
    method: "POST",
    headers: {
      ...requestInit.headers,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" }),
  });
  expect(await response.text()).toContain("spawn_claude_container");
});
