import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type IncomingMessage, request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { pino } from "pino";
import { expect, test } from "vitest";
import { ControlClient } from "../../host/control/control-client.ts";
import { hostError } from "../../host/control/control-error.ts";
import { ControlServer } from "../../host/control/control-server.ts";
import { callersWith } from "../../host/callers/callers.ts";
import { AsyncQueue } from "../../host/rpc/async-queue.ts";
import { RemoteSessions } from "../../host/control/remote-sessions.ts";
import {
  type AttachRequest,
  AttachRequestSchema,
  type AttachResponse,
  HostService,
  SessionService,
  type SessionUpdates,
  type UsageSum,
  UsageSumSchema,
  type WatchSessionsResponse,
} from "../../proto/control.ts";
import { ServerReflection } from "../../proto/gen/grpc/reflection/v1/reflection_pb.ts";
import { Health } from "../../proto/gen/health/v1/health_pb.ts";
import {
  AppError,
  Artifact_Kind,
  AttachStart_Role as Role,
  AttachStartSchema,
  ContainerSpecSchema,
  SessionSpecSchema,
  Session_State,
  StopSchema,
  UserMessageSchema,
} from "../../proto/index.ts";
import { MemorySessions } from "./memory-sessions.ts";
import { saying } from "./sessions-contract.ts";
import { eachEvent } from "../support/each-event.ts";
import { NO_UPLOADS } from "../support/no-snapshots.ts";
import { QUIET_HOST } from "../support/quiet-host.ts";

const TOKEN = "a-token-of-the-tests";
const SPEC = create(SessionSpecSchema, { task: "x" });

async function startServer(options: { heartbeatMs?: number } = {}) {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "claudecluster-control-"));
  stack.defer(() => rm(directory, { recursive: true }));
  const sessions = stack.use(new MemorySessions());
  const stops: boolean[] = [];
  const host = {
    ...QUIET_HOST,
    info: async () => ({ hostVersion: "1.2.3", stateDirectory: "/state", processId: 7 }),
    usage: () => Array.from({ length: 1201 }, (_, sessionCount) => create(UsageSumSchema, { sessionCount })),
    stop: async ({ onlyWithoutLiveSessions }: { onlyWithoutLiveSessions: boolean }) => {
      stops.push(onlyWithoutLiveSessions);
    },
  };
  const logger = pino({ level: "silent" });
  const path = join(directory, "host.sock");
  const listen = async () => {
    const server = new ControlServer({ sessions, uploads: NO_UPLOADS, host, logger, ...options });
    await server.listenUnix(path);
    return server;
  };
  const server = stack.use(await listen());
  const port = await server.listenTcp({ host: "127.0.0.1", port: 0, callers: callersWith(TOKEN) });
  const client = stack.use(new ControlClient(path));
  const { id } = await sessions.create({ spec: SPEC, container: create(ContainerSpecSchema) });
  const owned = stack.move();
  const baseUrl = `http://127.0.0.1:${port}`;
  return {
    server,
    sessions,
    client,
    id,
    path,
    baseUrl,
    stops,
    listen,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const showing =
  (token: string): Interceptor =>
  (next) =>
  (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };

const TRANSPORTS = {
  gRPC: createGrpcTransport,
  "gRPC-web over HTTP/1.1": (options: { baseUrl: string; interceptors: Interceptor[] }) =>
    createGrpcWebTransport({ ...options, httpVersion: "1.1" }),
  "gRPC-web over HTTP/2": (options: { baseUrl: string; interceptors: Interceptor[] }) =>
    createGrpcWebTransport({ ...options, httpVersion: "2" }),
  "Connect over HTTP/1.1": (options: { baseUrl: string; interceptors: Interceptor[] }) =>
    createConnectTransport({ ...options, httpVersion: "1.1", useBinaryFormat: false }),
  "Connect over HTTP/2": (options: { baseUrl: string; interceptors: Interceptor[] }) =>
    createConnectTransport({ ...options, httpVersion: "2" }),
};

test.each(Object.entries(TRANSPORTS))("serves %s on one port, to callers with the token", async (_name, transport) => {
  await using host = await startServer();
  const { baseUrl, id, sessions } = host;
  const client = createClient(SessionService, transport({ baseUrl, interceptors: [showing(TOKEN)] }));
  expect((await client.getSession({ sessionId: id })).session?.id).toBe(id);
  const failure = client.getSession({ sessionId: "ses_NONE" }).catch((error: unknown) => hostError(error));
  expect(await failure).toMatchObject({ reason: "SESSION_NOT_FOUND", kind: "NOT_FOUND" });
  sessions.finish(id);
  const cases: (string | undefined)[] = [];
  for await (const { response } of client.watchEvents({ sessionId: id })) cases.push(response.case);
  expect(cases.shift()).toBe("session");
  expect(new Set(cases)).toEqual(new Set(["events"]));

  for (const interceptors of [[], [showing("another-token")]]) {
    const stranger = transport({ baseUrl, interceptors });
    for (const call of [
      () => createClient(SessionService, stranger).listSessions({}),
      () => createClient(HostService, stranger).getHostInfo({}),
      () => createClient(Health, stranger).check({}),
    ]) {
      const error: unknown = await call().catch((refused: unknown) => refused);
      expect(ConnectError.from(error).code).toBe(Code.Unauthenticated);
      expect(hostError(error)).toMatchObject({ reason: "TOKEN_INVALID" });
    }
  }
});

test.each([
  ["Connect", "application/proto", 401],
  ["gRPC", "application/grpc", 200],
  ["gRPC-web", "application/grpc-web+proto", 200],
])("a caller on TCP without the token is refused before anything that it sends is read (%s)", async (...given) => {
  const [, type, status] = given;
  await using rig = await startServer();
  const headers = { "content-type": type, "content-length": String(7 * 1024 * 1024) };
  const call = httpRequest(`${rig.baseUrl}/claudecluster.control.v1alpha1.SessionService/CreateSession`, {
    method: "POST",
    headers,
  });
  call.on("error", () => {}); // The server ends the connection: what was announced never comes.
  call.flushHeaders();
  const [answer] = (await once(call, "response")) as [IncomingMessage];
  const body = await text(answer);
  expect(answer.statusCode).toBe(status);
  const said = JSON.stringify([body, answer.headers, answer.trailers]).replaceAll("%20", " ");
  expect(said).toContain("carries no token of this host's");
  call.destroy();
});

test("callers on TCP may neither end the host nor see where it is; callers on the socket may", async () => {
  await using host = await startServer();
  const remote = createClient(
    HostService,
    createGrpcTransport({ baseUrl: host.baseUrl, interceptors: [showing(TOKEN)] }),
  );
  expect(await remote.getHostInfo({})).toMatchObject({ hostVersion: "1.2.3", stateDirectory: "", processId: 0 });
  const refused = remote.stopHost({}).catch((error: unknown) => hostError(error));
  expect(await refused).toMatchObject({ reason: "CALLER_REMOTE", kind: "PERMISSION_DENIED" });
  expect(host.stops).toEqual([]);
  expect(await host.client.host.getHostInfo({})).toMatchObject({ stateDirectory: "/state", processId: 7 });
  await host.client.host.stopHost({ onlyWithoutLiveSessions: true });
  expect(host.stops).toEqual([true]);
});

test("usage comes whole to whoever may call, however many rows, and what is no day is named", async () => {
  await using server = await startServer();
  const rows: UsageSum[] = [];
  for await (const { sums } of server.client.host.getUsage({ firstDay: "2026-11-23" })) {
    expect(sums.length).toBeLessThanOrEqual(500);
    rows.push(...sums);
  }
  expect(rows.map(({ sessionCount }) => sessionCount)).toEqual(Array.from({ length: 1201 }, (_, index) => index));
  const wrong = server.client.host.getUsage({ lastDay: "23.11.2026" })[Symbol.asyncIterator]();
  expect(hostError(await wrong.next().catch((error: unknown) => error))).toMatchObject({ reason: "DAY_INVALID" });
});

test("answers reflection and health", async () => {
  await using host = await startServer();
  const transport = createGrpcTransport({ baseUrl: host.baseUrl, interceptors: [showing(TOKEN)] });
  type Asked = { case: "listServices" | "fileContainingSymbol"; value: string };
  const requests = new AsyncQueue<{ messageRequest: Asked }>();
  requests.push({ messageRequest: { case: "listServices", value: "" } });
  // What failed calls carry, so that clients can show it.
  const errorInfo = "claudecluster.error.v1alpha1.ErrorInfo";
  requests.push({ messageRequest: { case: "fileContainingSymbol", value: errorInfo } });
  requests.end();
  const names: string[] = [];
  let fileCount = 0;
  for await (const { messageResponse } of createClient(ServerReflection, transport).serverReflectionInfo(requests)) {
    if (messageResponse.case === "listServicesResponse")
      names.push(...messageResponse.value.service.map(({ name }) => name));
    if (messageResponse.case === "fileDescriptorResponse")
      fileCount += messageResponse.value.fileDescriptorProto.length;
  }
  expect(fileCount).toBe(1);
  expect(names).toEqual([
    "claudecluster.control.v1alpha1.SessionService",
    "claudecluster.control.v1alpha1.HostService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
  ]);
  expect((await createClient(Health, transport).check({ service: SessionService.typeName })).status).toBe(1);
});

/** Attaches and reads as the test goes. */
function attach(client: ControlClient, sessionId: string, role: Role, afterSequence = 0) {
  const requests = new AsyncQueue<AttachRequest>();
  const say = (request: AttachRequest["request"]) => requests.push(create(AttachRequestSchema, { request }));
  say({ case: "attach", value: create(AttachStartSchema, { role, sessionId, afterSequence }) });
  const responses = client.sessions.attach(requests)[Symbol.asyncIterator]();
  const next = async (kind: AttachResponse["response"]["case"]) => {
    for (;;) {
      const { value, done } = await responses.next();
      if (done === true) throw new Error(`the stream ended before ${kind}`);
      const { response } = value as AttachResponse;
      if (response.case === kind) return response.value;
    }
  };
  return { say, next, requests, responses };
}

test("a controller watches and steers, an observer only watches, and nobody else is the owner", async () => {
  await using host = await startServer();
  const { client, id, sessions } = host;
  const owner = attach(client, id, Role.OWNER);
  expect(hostError(await owner.responses.next().catch((error: unknown) => error))).toMatchObject({
    reason: "ROLE_RESERVED",
    kind: "PERMISSION_DENIED",
  });
  const observer = attach(client, id, Role.OBSERVER);
  expect(await observer.next("session")).toMatchObject({ id });
  observer.say({ case: "stop", value: create(StopSchema) });
  expect(await observer.next("requestRefused")).toMatchObject({ reason: "ROLE_INSUFFICIENT" });

  const controller = attach(client, id, Role.CONTROLLER, 1);
  await controller.next("session");
  controller.say({ case: "userMessage", value: create(UserMessageSchema, { text: "go on" }) });
  expect(await controller.next("events")).toMatchObject({ events: [{ event: { case: "turnStarted" } }] });
  expect(sessions.messages).toEqual(["go on"]);
  // Who says no more goes on watching.
  observer.requests.end();
  controller.say({ case: "stop", value: create(StopSchema, { reason: "seen enough" }) });
  expect(await controller.next("events")).toMatchObject({ events: [{ event: { case: "sessionFinished" } }] });
  for (const each of [observer, controller]) {
    let result = await each.responses.next();
    while (result.done !== true) result = await each.responses.next();
  }
  expect(sessions.watcherCount).toBe(0);
});

test("what gathers while a reader takes its time comes in batches, and a silent stream carries heartbeats", async () => {
  await using host = await startServer({ heartbeatMs: 20 });
  const { client, id, sessions } = host;
  for (let index = 0; index < 1000; index++) sessions.say(id, saying(`line ${index}`));
  const observer = attach(client, id, Role.OBSERVER);
  let events = 0;
  let batches = 0;
  while (events < 1001) {
    const batch = await observer.next("events");
    events += (batch as { events: unknown[] }).events.length;
    batches += 1;
  }
  expect(batches).toBeLessThan(100);
  await observer.next("heartbeat");
  sessions.finish(id);
});

test.each(["Connect over HTTP/1.1", "gRPC"] as const)(
  "a stream of all sessions has a hello, snapshots without what is large, and heartbeats (%s)",
  async (name) => {
    await using host = await startServer({ heartbeatMs: 20 });
    const { baseUrl, id, sessions } = host;
    const client = createClient(SessionService, TRANSPORTS[name]({ baseUrl, interceptors: [showing(TOKEN)] }));
    const large = create(SessionSpecSchema, { task: "x".repeat(100_000), environment: { NAME: "value" } });
    const { id: second } = await sessions.create({ spec: large, container: create(ContainerSpecSchema) });
    const over = new AbortController();
    const stream = client.watchSessions({}, { signal: over.signal })[Symbol.asyncIterator]();
    const next = async () => ((await stream.next()).value as WatchSessionsResponse).response;
    expect(await next()).toMatchObject({ case: "hello", value: { resumed: false } });
    const { value } = await next();
    expect(value).toMatchObject({ sessions: [{ id: second }, { id }], caughtUp: true });
    const spec = (value as SessionUpdates).sessions[0]?.spec;
    expect(spec?.task.length).toBeLessThan(5000);
    expect(spec?.environment).toEqual({});
    expect(await next()).toMatchObject({ case: "heartbeat" });
    // An event that changes nothing but its number is no news.
    sessions.say(id, saying("hello"));
    sessions.wait(id, "no room");
    let news = await next();
    while (news.case === "heartbeat") news = await next();
    expect(news.value).toMatchObject({ sessions: [{ id, waitingReason: "no room", lastSequence: 2 }] });
    sessions.say(id, saying("hello again"));
    for (let count = 0; count < 5; count++) expect(await next()).toMatchObject({ case: "heartbeat" });
    over.abort();
    await expect.poll(() => sessions.feedReaderCount).toBe(0);
  },
);

test("a number that there is not is out of range", async () => {
  await using host = await startServer();
  const watch = new RemoteSessions({ client: host.client }).watch(host.id, {
    afterSequence: 99,
    signal: AbortSignal.timeout(10_000),
  });
  await expect(watch.next()).rejects.toMatchObject({ reason: "SEQUENCE_UNKNOWN", kind: "OUT_OF_RANGE" });
});

test("a host that ends and comes back is not noticed: calls are made again, watchers resume", async () => {
  await using host = await startServer();
  const { id, sessions } = host;
  let connects = 0;
  const remote = new RemoteSessions({ client: host.client, connect: async () => void (connects += 1) });
  const seen: number[] = [];
  const first = Promise.withResolvers<undefined>();
  const watching = (async () => {
    for await (const { sequence } of eachEvent(
      remote.watch(id, { afterSequence: 0, signal: AbortSignal.timeout(20_000) }),
    )) {
      seen.push(sequence);
      first.resolve(undefined);
    }
  })();
  await first.promise;
  await host.server[Symbol.asyncDispose]();
  sessions.say(id, saying("while nobody listens"));
  const call = remote.sendMessage(id, { text: "hello?" });
  await using _again = await host.listen();
  await call;
  sessions.finish(id);
  await watching;
  expect(seen).toEqual([1, 2, 3, 4]);
  expect(sessions.messages).toEqual(["hello?"]);
  expect(connects).toBeGreaterThanOrEqual(2);
});

test("a reader of all sessions goes on where it was once the host is back, and hears of no second hello", async () => {
  await using host = await startServer();
  const { id, sessions } = host;
  const second = (await sessions.create({ spec: SPEC, container: create(ContainerSpecSchema) })).id;
  const remote = new RemoteSessions({ client: host.client });
  const feed = remote.watchAll({ signal: AbortSignal.timeout(20_000) });
  expect((await feed.next()).value).toMatchObject({ case: "hello" });
  expect((await feed.next()).value).toMatchObject({ value: { sessions: [{ id: second }, { id }] } });
  await host.server[Symbol.asyncDispose]();
  sessions.finish(id);
  await using _again = await host.listen();
  expect((await feed.next()).value).toMatchObject({
    case: "updates",
    value: { sessions: [{ id, state: Session_State.SUCCEEDED }], removedSessionIds: [] },
  });
  await feed.return(undefined);
});

test("a patch that is being read when the host ends is read on with the next one, as long as it is the same", async () => {
  await using host = await startServer();
  const { id, sessions } = host;
  const patch = Buffer.alloc(8 * 1024 * 1024, "patch");
  sessions.change(id, patch);
  const remote = new RemoteSessions({ client: host.client });
  using opened = await remote.openArtifact(id, Artifact_Kind.PATCH);
  const reading = opened.read()[Symbol.asyncIterator]();
  const pieces = [(await reading.next()).value as Uint8Array];
  await host.server[Symbol.asyncDispose]();
  await using again = await host.listen();
  for (let next = await reading.next(); next.done !== true; next = await reading.next()) pieces.push(next.value);
  expect(Buffer.concat(pieces).equals(patch)).toBe(true);
  using other = await remote.openArtifact(id, Artifact_Kind.PATCH);
  const late = other.read()[Symbol.asyncIterator]();
  await late.next();
  sessions.change(id, Buffer.alloc(patch.length));
  await again[Symbol.asyncDispose]();
  await using _third = await host.listen();
  const rest = async () => {
    while ((await late.next()).done !== true);
  };
  await expect(rest()).rejects.toMatchObject({ reason: "ARTIFACT_CHANGED", retryable: true });
});

test("a host that does not come back is an error, and so is one that cannot be started", async () => {
  await using host = await startServer();
  await host.server[Symbol.asyncDispose]();
  const failing = new RemoteSessions({
    client: host.client,
    connect: () => Promise.reject(new AppError("HOST_START_FAILED", "It does not start.")),
  });
  await expect(failing.get(host.id)).rejects.toMatchObject({ reason: "HOST_START_FAILED" });
});

test("serves plain curl on the unix socket", async () => {
  await using host = await startServer();
  const body = JSON.stringify({ sessionId: host.id });
  const answer = await new Promise<string>((resolve, reject) => {
    const path = "/claudecluster.control.v1alpha1.SessionService/GetSession";
    const headers = { "content-type": "application/json" };
    const request = httpRequest({ socketPath: host.path, path, method: "POST", headers }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString())).on("end", () => resolve(text));
    });
    request.on("error", reject).end(body);
  });
  expect(JSON.parse(answer)).toMatchObject({ session: { id: host.id } });
});

test("refuses members of a JSON request that it does not know, by name: a misspelt restriction would be none", async () => {
  await using rig = await startServer();
  const post = async (method: string, body: object) => {
    const response = await fetch(`${rig.baseUrl}/${SessionService.typeName}/${method}`, {
      method: "POST",
      headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return { status: response.status, text: await response.text() };
  };
  const count = async () => (await rig.sessions.list({})).sessions.length;
  const before = await count();
  for (const [body, name] of [
    [{ spec: { task: "x", permision_mode: "plan" } }, "permision_mode"],
    [{ spec: { task: "x", egress: { allowed_destination: [] } } }, "allowed_destination"],
    [{ spec: { task: "x", egress: { mode: "MODE_NOEN" } } }, "MODE_NOEN"],
    [{ spec: { task: "x" }, container: { memoryByte: "1" } }, "memoryByte"],
    [{ spec: { task: "x" }, request_Id: "1" }, "request_Id"],
  ] as const) {
    const { status, text } = await post("CreateSession", body);
    expect(status, text).toBe(400);
    expect(JSON.parse(text)).toMatchObject({
      code: "invalid_argument",
      message: expect.stringContaining(name) as string,
    });
  }
  expect(await count()).toBe(before);
  // Both spellings that JSON has for a field.
  expect(await post("CreateSession", { spec: { task: "x", permission_mode: "plan" }, requestId: "1" })).toMatchObject({
    status: 200,
    text: expect.stringContaining('"permissionMode":"plan"') as string,
  });
});
