import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { create } from "@bufbuild/protobuf";
import { createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AuditLog, audited } from "../../host/callers/audit.ts";
import { onBehalfOf } from "../../host/callers/on-behalf-of.ts";
import { TokenCallers } from "../../host/callers/token-callers.ts";
import { addToken, removeToken } from "../../host/callers/tokens-file.ts";
import { ControlClient } from "../../host/control/control-client.ts";
import { ControlServer } from "../../host/control/control-server.ts";
import { RemoteSessions } from "../../host/control/remote-sessions.ts";
import { sessionUri } from "../../host/present/session-resources.ts";
import { serveHttp } from "../../host/mcp/http-server.ts";
import { MCPServer } from "../../host/mcp/mcp-server.ts";
import { DATA } from "../../host/mcp/tool-result.ts";
import { type AttachRequest, AttachRequestSchema, SessionService } from "../../proto/control.ts";
import {
  AttachStart_Role as Role,
  AttachStartSchema,
  ContainerSpecSchema,
  SessionSpecSchema,
  StopSchema,
  UserMessageSchema,
} from "../../proto/index.ts";
import { eachEvent } from "../support/each-event.ts";
import { NO_UPLOADS } from "../support/no-snapshots.ts";
import { QUIET_HOST } from "../support/quiet-host.ts";
import { taskClient } from "../support/task-client.ts";
import { MemorySessions } from "./memory-sessions.ts";

const SERVICE = "claudecluster.control.v1alpha1.SessionService";
const spec = create(SessionSpecSchema, { task: "x" });
const container = create(ContainerSpecSchema);

let rig: Awaited<ReturnType<typeof startRig>>;
beforeEach(async () => void (rig = await startRig()));
afterEach(() => rig[Symbol.asyncDispose]());

/** A host with two callers elsewhere, who have a token each, on both ways in. */
async function startRig() {
  await using stack = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), "claudecluster-callers-"));
  stack.defer(() => rmSync(directory, { recursive: true }));
  const log: Record<string, unknown>[] = [];
  const write = (line: string) => void log.push(JSON.parse(line) as Record<string, unknown>);
  const logger = pino({ level: "debug" }, { write });
  const sessions = stack.use(new MemorySessions());
  const tokens = { alice: addToken(directory, "alice"), bob: addToken(directory, "bob") };
  const callers = stack.use(new TokenCallers({ stateDirectory: directory, shared: undefined, logger }));
  const audit = new AuditLog(directory);
  const server = stack.use(new ControlServer({ sessions, uploads: NO_UPLOADS, host: QUIET_HOST, audit, logger }));
  const port = await server.listenTcp({ host: "127.0.0.1", port: 0, callers });
  const url = `http://127.0.0.1:${port}`;
  const serve = ({ name: caller }: { name: string }) => {
    const owned = audited(onBehalfOf(sessions, { caller, logger }), { audit, caller, way: "mcp" });
    return new MCPServer({ sessions: owned, version: "1.0.0", logger }).httpHandler();
  };
  const onRefused = () => audit.refused({ way: "mcp", method: "" });
  const mcp = stack.use(await serveHttp({ address: "127.0.0.1:0", callers, allowedHosts: [], serve, onRefused }));
  const owned = stack.move();
  return {
    sessions,
    tokens,
    log,
    url,
    mcpUrl: new URL(mcp.url),
    directory,
    revoke: (name: string) => removeToken(directory, name),
    /** The control API, as somebody with this token. */
    as: (token: string) => {
      const client = owned.use(new ControlClient({ url, token: () => Promise.resolve(token) }));
      return new RemoteSessions({ client });
    },
    /** MCP, as somebody with this token. */
    mcpAs: async (token: string) => {
      const client = new Client({ name: "test", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });
      const requestInit = { headers: { authorization: `Bearer ${token}` } };
      await client.connect(new StreamableHTTPClientTransport(new URL(mcp.url), { requestInit }));
      owned.defer(() => client.close());
      return client;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

test("who did what over TCP is on record, without what was said; strangers have a record of their own", async () => {
  const { tokens, as, mcpAs, url, mcpUrl, directory } = rig;
  const alice = as(tokens.alice);
  const { id } = await alice.create({ spec: { ...spec, task: "a secret task" }, container });
  await alice.sendMessage(id, { text: "a secret message", messageId: "m" });
  await alice.get("ses_NONE").catch(() => undefined);
  const over = new AbortController();
  for await (const _events of alice.watch(id, { afterSequence: 0, signal: over.signal })) break;
  over.abort();
  const mcp = await mcpAs(tokens.bob);
  await mcp.callTool({ name: "get_session", arguments: { session_id: id } });
  for (let count = 0; count < 30; count++)
    await as("a secret token")
      .get(id)
      .catch(() => undefined);
  await fetch(mcpUrl, { method: "POST", headers: { authorization: "Bearer a secret token" } });
  expect((await fetch(`${url}/healthz`)).status).toBe(200);

  const read = (name: string) => readFileSync(join(directory, name), "utf8");
  const lines = (name: string) =>
    read(name)
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, string>);
  const told = (name: string) =>
    lines(name).map(({ time, ...call }) => {
      expect(Date.now() - Date.parse(time!)).toBeLessThan(60_000);
      return Object.values(call).join(" ");
    });
  expect(told("audit.log")).toEqual([`alice control CreateSession ${id} ok`, `alice control SendMessage ${id} ok`]);
  const reads = told("audit-reads.log");
  expect(reads.slice(0, 2)).toEqual([
    "alice control GetSession ses_NONE SESSION_NOT_FOUND",
    `alice control WatchEvents ${id} ok`,
  ]);
  expect(reads).toContain(`bob mcp get ${id} ok`);
  const refused = lines("audit-refused.log");
  expect(refused).toHaveLength(20);
  expect(refused[0]).toMatchObject({ way: "control", method: "GetSession", outcome: "TOKEN_INVALID" });
  for (const name of ["audit.log", "audit-reads.log", "audit-refused.log"]) {
    expect(read(name)).not.toContain("secret");
    expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
  }
});

/** Attaches to a session and says these. */
function attach(
  { url, token }: { url: string; token: string },
  start: { role: Role; sessionId: string },
  ...said: AttachRequest["request"][]
) {
  const client = new ControlClient({ url, token: () => Promise.resolve(token) });
  const requests: AttachRequest["request"][] = [{ case: "attach", value: create(AttachStartSchema, start) }, ...said];
  return client.sessions.attach(Readable.from(requests.map((request) => create(AttachRequestSchema, { request }))));
}

test("what is said on an attached stream is on record, also what comes before its first answer", async () => {
  const { tokens, as, url, directory } = rig;
  const { id } = await as(tokens.alice).create({ spec, container });
  const attached = attach(
    { url, token: tokens.alice },
    { role: Role.CONTROLLER, sessionId: id },
    { case: "userMessage", value: create(UserMessageSchema, { text: "a secret" }) },
    { case: "stop", value: create(StopSchema) },
  );
  for await (const _response of attached);
  const names = ["audit.log", "audit-reads.log"];
  const record = names.map((name) => readFileSync(join(directory, name), "utf8")).join("");
  for (const method of ["Attach", "Attach.userMessage", "Attach.stop"]) {
    expect(record).toContain(
      `"caller":"alice","way":"control","method":"${method}","session_id":"${id}","outcome":"ok"`,
    );
  }
  expect(record).not.toContain("secret");
});

test("what is refused on an attached stream is not on record as done", async () => {
  const { tokens, as, url, directory } = rig;
  const { id } = await as(tokens.alice).create({ spec, container });
  const attached = attach(
    { url, token: tokens.bob },
    { role: Role.OBSERVER, sessionId: id },
    { case: "stop", value: create(StopSchema) },
  );
  for await (const { response } of attached) if (response.case === "requestRefused") break;
  const read = (name: string) => readFileSync(join(directory, name), "utf8");
  const line = `"caller":"bob","way":"control","method":"Attach.stop","session_id":"${id}","outcome"`;
  expect(read("audit-reads.log")).toContain(`${line}:"ROLE_INSUFFICIENT"`);
  expect(read("audit.log")).not.toContain(line);
});

test("a session has the name of the caller whose token was shown, whichever way it came in", async () => {
  const { sessions, tokens, as, mcpAs } = rig;
  const own = await sessions.create({ spec, container });
  const first = await as(tokens.alice).create({ spec, container, caller: "somebody else" });
  const client = await mcpAs(tokens.bob);
  const second = await client.callTool({ name: "spawn_claude_container", arguments: { task: "x", wait: false } });
  expect(second.isError).not.toBe(true);
  const listed = await as(tokens.bob).list({});
  expect(listed.sessions.map(({ caller }) => caller)).toEqual(["bob", "alice", ""]);
  expect((await as(tokens.alice).get(first.id)).caller).toBe("alice");
  expect(own.caller).toBe("");
  const list = await client.callTool({ name: "list_sessions", arguments: {} });
  expect(list._meta?.[DATA]).toMatchObject({ sessions: [{ caller: "bob" }, { caller: "alice" }, {}] });
  expect(JSON.stringify(list.content)).toMatch(/by bob.*by alice/);
});

test("no caller can say who it is but by its token", async () => {
  const { sessions, tokens, url } = rig;
  const call = (body: object) =>
    fetch(`${url}/${SERVICE}/CreateSession?caller=bob`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${tokens.alice}`,
        "x-caller": "bob",
        "x-forwarded-user": "bob",
      },
      body: JSON.stringify(body),
    });
  expect((await call({ spec: { task: "x" }, caller: "bob" })).status).toBe(400);
  expect((await call({ spec: { task: "x", caller: "bob" } })).status).toBe(400);
  expect((await call({ spec: { task: "x" } })).status).toBe(200);
  expect((await sessions.list({})).sessions.map(({ caller }) => caller)).toEqual(["alice"]);
});

test("what callers do is in the log with their names, and no token is", async () => {
  const { tokens, as, log, sessions } = rig;
  const { id } = await as(tokens.alice).create({ spec, container });
  await as(tokens.bob).sendMessage(id, { text: "go on" });
  await as(tokens.bob)
    .stop("ses_NONE\u001b[31m".repeat(100), { reason: "x" })
    .catch(() => {});
  await as(`${tokens.alice}x`)
    .list({})
    .catch(() => {});
  await as(tokens.bob).stop(id, { reason: "enough" });
  const own = await sessions.create({ spec, container });
  await sessions.stop(own.id, { reason: "not from elsewhere" });
  const acts = log.filter(({ caller }) => caller !== undefined);
  expect(acts.map(({ caller, msg, sessionId }) => [caller, msg, String(sessionId).slice(0, 30)])).toEqual([
    ["alice", "caller starts session", id],
    ["bob", "caller sends message", id],
    ["bob", "caller stops session: refused", expect.stringMatching(/^ses_NONE/)],
    ["bob", "caller stops session", id],
  ]);
  expect(JSON.stringify(acts).length).toBeLessThan(2000);
  for (const token of Object.values(tokens)) expect(JSON.stringify(log)).not.toContain(token.slice(4));
});

test("a token that is removed ends the calls that are open, and the next one says why; others go on", async () => {
  const { sessions, tokens, as, revoke, url } = rig;
  const { id } = await sessions.create({ spec, container });
  const signal = AbortSignal.timeout(20_000);
  const watch = (token: string) => eachEvent(as(token).watch(id, { afterSequence: 0, signal }));
  const [alice, bob] = [watch(tokens.alice), watch(tokens.bob)];
  for (const each of [alice, bob]) expect((await each.next()).value).toMatchObject({ sequence: 1 });
  // As a program of somebody's own has it, which does not call again.
  const showing: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${tokens.alice}`);
    return next(request);
  };
  const plain = { baseUrl: url, interceptors: [showing] };
  const raw = [createGrpcTransport(plain), createConnectTransport({ ...plain, httpVersion: "1.1" })].map((transport) =>
    createClient(SessionService, transport).watchEvents({ sessionId: id }, { signal })[Symbol.asyncIterator](),
  );
  for (const each of raw) await each.next();
  revoke("alice");
  await expect(alice.next()).rejects.toMatchObject({ reason: "TOKEN_INVALID" });
  const drained = async (stream: AsyncIterator<unknown>) => {
    while ((await stream.next()).done !== true);
  };
  for (const each of raw) await expect(drained(each)).rejects.toThrow();
  expect(sessions.watcherCount).toBe(1);
  await expect(as(tokens.alice).stop(id, { reason: "x" })).rejects.toMatchObject({ reason: "TOKEN_INVALID" });
  sessions.finish(id);
  expect((await bob.next()).value).toMatchObject({ sequence: 2 });
  expect(signal.aborted).toBe(false);
});

test("over MCP a removed token ends its open calls, not their sessions, and is refused from then on", async () => {
  const { sessions, tokens, mcpAs, revoke, mcpUrl } = rig;
  const [alice, bob] = [await mcpAs(tokens.alice), await mcpAs(tokens.bob)];
  const call = alice.callTool({ name: "spawn_claude_container", arguments: { task: "x" } });
  const refused = expect(call).rejects.toThrow();
  await expect.poll(async () => (await sessions.list({})).sessions.length).toBe(1);
  revoke("alice");
  await refused;
  await expect.poll(() => sessions.watcherCount).toBe(0);
  const { sessions: left } = await bob
    .callTool({ name: "list_sessions", arguments: {} })
    .then(({ _meta }) => _meta?.[DATA] as { sessions: object[] });
  expect(left).toMatchObject([{ caller: "alice", state: "queued" }]);
  await expect(alice.listTools()).rejects.toThrow();
  const headers = { authorization: `Bearer ${tokens.alice}` };
  expect((await fetch(mcpUrl, { method: "POST", headers, body: "{}" })).status).toBe(401);
});

test("a client whose token is removed is there for no session any more", async () => {
  const { sessions, tokens, revoke, mcpUrl } = rig;
  const authorization = `Bearer ${tokens.alice}`;
  const alice = taskClient(async (request) => {
    const headers = { ...Object.fromEntries(request.headers), authorization };
    return fetch(mcpUrl, { method: "POST", headers, body: await request.text() });
  }, {});
  const task = await alice.call({ name: "spawn_claude_container", arguments: { task: "x" } });
  expect(task).toMatchObject({ resultType: "task", status: "working" });
  expect(sessions.watcherCount).toBe(1);
  const [session] = (await sessions.list({})).sessions;
  const listener = await rig.mcpAs(tokens.alice);
  await listener.listen({ resourceSubscriptions: [sessionUri(session!.id)] });
  await expect.poll(() => sessions.watcherCount).toBe(2);
  revoke("alice");
  await expect.poll(() => sessions.watcherCount).toBe(0);
});

test("a token in an address, a cookie or a body opens nothing", async () => {
  const { tokens, url, mcpUrl } = rig;
  const token = tokens.alice;
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {}, token, access_token: token });
  const ask = (address: string, headers: Record<string, string> = {}) =>
    fetch(address, { method: "POST", headers: { "content-type": "application/json", ...headers }, body });
  const places = [mcpUrl.href, `${url}/${SERVICE}/ListSessions`];
  for (const place of places) {
    for (const name of ["token", "access_token", "authorization"]) {
      expect((await ask(`${place}?${name}=${token}`)).status).toBe(401);
      expect((await ask(`${place}?${name}=Bearer%20${token}`)).status).toBe(401);
      expect((await ask(place, { cookie: `${name}=${token}` })).status).toBe(401);
      if (name !== "authorization") expect((await ask(place, { [name]: token })).status).toBe(401);
    }
    expect((await ask(place, { authorization: `Basic ${btoa(`alice:${token}`)}` })).status).toBe(401);
    expect((await ask(place.replace("//", `//alice:${token}@`)).catch(() => ({ status: 401 }))).status).toBe(401);
  }
});
