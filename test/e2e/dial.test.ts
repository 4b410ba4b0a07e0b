import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Duplex, PassThrough, Readable } from "node:stream";
import { create } from "@bufbuild/protobuf";
import { createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { SafeHttp2SessionManager } from "../../host/rpc/safe-session-manager.ts";
import { hostError } from "../../host/control/control-error.ts";
import { dialRequests } from "../../host/control/dial.ts";
import { SessionService } from "../../proto/control.ts";
import { type ServerReflectionResponse, ServerReflection } from "../../proto/gen/grpc/reflection/v1/reflection_pb.ts";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../proto/gen/health/v1/health_pb.ts";
import { ContainerSpecSchema, Session_State, SessionSpecSchema } from "../../proto/index.ts";
import { claudecluster, startDial } from "../support/claudecluster.ts";
import { docker } from "../support/docker.ts";
import { eachEvent } from "../support/each-event.ts";
import { CLAUDECLUSTER } from "../support/mcp-client.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";
const MUCH = "x".repeat(16 * 1024);
const AGENT_SERVICE = "claudecluster.agent.v1alpha1.AgentService";

let rig: HostRig;
/** Where the host listens on TCP. */
let baseUrl: string;
beforeAll(async () => {
  rig = await startHostRig();
  const { directories, env } = rig.place;
  const tokenFile = join(directories.configDirectory, "token");
  await writeFile(tokenFile, TOKEN, { mode: 0o600 });
  const args = [CLAUDECLUSTER, "serve", "--listen", "127.0.0.1:0", "--token-file", tokenFile];
  const host = spawn(process.execPath, args, { env, stdio: ["ignore", "ignore", "pipe"] });
  for await (const line of createInterface({ input: host.stderr })) {
    const address = /^control API on (\S+)$/.exec(line)?.[1];
    if (address === undefined) continue;
    baseUrl = `http://${address}`;
    break;
  }
  host.stderr.resume();
});
afterAll(() => rig[Symbol.asyncDispose]());

/** A session that works until it is stopped, with its container. */
async function startSession() {
  const spec = create(SessionSpecSchema, { task: "[scenario: long-run seconds=170 steps=170]" });
  const { id } = await rig.sessions.create({ spec, container: create(ContainerSpecSchema) });
  for await (const { event } of eachEvent(
    rig.sessions.watch(id, { afterSequence: 0, signal: AbortSignal.timeout(90_000) }),
  )) {
    if (event.case === "stateChanged" && event.value.state === Session_State.RUNNING) break;
  }
  const { containerId } = await rig.sessions.get(id);
  return {
    id,
    containerId,
    /** Connections into the container: the host's own is one. */
    execCount: async () => {
      const ids = JSON.parse(await docker("inspect", "--format", "{{json .ExecIDs}}", containerId)) as string[] | null;
      return ids?.length ?? 0;
    },
    [Symbol.asyncDispose]: () => rig.sessions.stop(id, { reason: "The test is over." }),
  };
}

/** A connection to an agent, over a stream that somebody has dialled, or over a socket. */
function over(open: () => Duplex) {
  let stream: Duplex | undefined;
  const createConnection = () => {
    stream = open();
    stream.on("error", () => {});
    return stream;
  };
  const baseUrl = "http://agent";
  const sessionManager = new SafeHttp2SessionManager(baseUrl, {}, { createConnection });
  const transport = createGrpcTransport({ baseUrl, sessionManager });
  return {
    health: createClient(Health, transport),
    reflection: createClient(ServerReflection, transport),
    [Symbol.dispose]: () => void stream?.destroy(),
  };
}

const overSocket = (path: string) => over(() => connect(path));

/** Asks for the same file so often, or until somebody stops; each time with much to be said back. */
async function* askForFile(count: number, onAsked: () => void = () => {}) {
  for (let asked = 0; asked < count; asked++) {
    onAsked();
    yield { host: MUCH, messageRequest: { case: "fileContainingSymbol" as const, value: AGENT_SERVICE } };
  }
}

function sizeOf({ messageResponse: response }: ServerReflectionResponse): number {
  if (response.case !== "fileDescriptorResponse") throw new Error(`There is ${response.case}.`);
  return response.value.fileDescriptorProto.reduce((size, file) => size + file.length, 0);
}

test("health, reflection and a large transfer go through the socket, each connection by itself", async () => {
  await using session = await startSession();
  await using dial = await startDial(session.id, rig.place);
  using one = overSocket(dial.socket);
  using other = overSocket(dial.socket);
  expect((await one.health.check({})).status).toBe(Status.SERVING);
  expect(await session.execCount()).toBe(2);
  const listed = await Readable.from(
    one.reflection.serverReflectionInfo(
      Readable.from([{ messageRequest: { case: "listServices" as const, value: "" } }]) as AsyncIterable<object>,
    ),
  ).toArray();
  expect(JSON.stringify(listed.map(({ messageResponse }) => messageResponse.value.service))).toContain(AGENT_SERVICE);

  let bytes = 0;
  const sizes = new Set<number>();
  for await (const response of one.reflection.serverReflectionInfo(askForFile(500))) {
    sizes.add(sizeOf(response));
    bytes += sizeOf(response);
    if (sizes.size === 1 && bytes === sizeOf(response)) {
      expect((await other.health.check({})).status).toBe(Status.SERVING);
    }
  }
  expect(sizes.size).toBe(1);
  expect(bytes / 1e6).toBeGreaterThan(10);
});

test("a reader that stops holds up nobody, and reads on where it was", async () => {
  await using session = await startSession();
  await using dial = await startDial(session.id, rig.place);
  using stopped = overSocket(dial.socket);
  using other = overSocket(dial.socket);
  let asked = 0;
  const count = 500;
  const answers = stopped.reflection.serverReflectionInfo(askForFile(count, () => asked++))[Symbol.asyncIterator]();
  const first = sizeOf((await answers.next()).value as ServerReflectionResponse);
  let before = -1;
  await vi.waitUntil(() => before === (before = asked), { interval: 1500, timeout: 60_000 });
  // That many answers are more than there is room for between the two.
  expect(asked).toBeLessThan(count);
  const { lastSequence } = await rig.sessions.get(session.id);
  expect((await other.health.check({})).status).toBe(Status.SERVING);
  await expect.poll(async () => (await rig.sessions.get(session.id)).lastSequence).toBeGreaterThan(lastSequence);
  const sizes = [first];
  for await (const answer of { [Symbol.asyncIterator]: () => answers }) sizes.push(sizeOf(answer));
  expect(sizes).toEqual(Array.from({ length: count }, () => first));
});

test("a client that goes away in the middle leaves no exec behind, nor does the command", async () => {
  await using session = await startSession();
  await expect.poll(session.execCount).toBe(1);
  const beginTransfer = async (socket: string) => {
    const connection = overSocket(socket);
    const answers = connection.reflection.serverReflectionInfo(askForFile(Infinity))[Symbol.asyncIterator]();
    await answers.next();
    void (async () => {
      while ((await answers.next()).done !== true);
    })().catch(() => {});
    return connection;
  };
  await using dial = await startDial(session.id, rig.place);
  {
    using _reader = await beginTransfer(dial.socket);
    expect(await session.execCount()).toBe(2);
  }
  await expect.poll(session.execCount, { timeout: 10_000 }).toBe(1);

  using _reader = await beginTransfer(dial.socket);
  expect(await session.execCount()).toBe(2);
  dial.kill("SIGKILL");
  await expect.poll(session.execCount, { timeout: 10_000 }).toBe(1);
  const processes = await docker("top", session.containerId, "-eo", "pid,args");
  expect(processes.split("\n").filter((line) => /\bsocat\b/.test(line))).toHaveLength(1);
});

test("callers on TCP with the token reach the agent, and no others do", async () => {
  await using session = await startSession();
  const open = (token: string) => {
    const authorize: Interceptor = (next) => (request) => {
      request.header.set("authorization", `Bearer ${token}`);
      return next(request);
    };
    const host = createClient(SessionService, createGrpcTransport({ baseUrl, interceptors: [authorize] }));
    const written = new PassThrough();
    const closed = new AbortController();
    const answers = async function* () {
      const calls = host.dial(dialRequests(session.id, written), { signal: closed.signal });
      for await (const { data } of calls) yield data;
    };
    const readable = Readable.from(answers(), { objectMode: false });
    return Duplex.from({ writable: written, readable }).once("close", () => closed.abort()) as Duplex;
  };
  {
    using agent = over(() => open(TOKEN));
    expect((await agent.health.check({})).status).toBe(Status.SERVING);
    let bytes = 0;
    for await (const response of agent.reflection.serverReflectionInfo(askForFile(300))) bytes += sizeOf(response);
    expect(bytes / 1e6).toBeGreaterThan(3);
  }
  await expect.poll(session.execCount, { timeout: 10_000 }).toBe(1);
  const refused = await open("another")
    .toArray()
    .catch((error: unknown) => hostError(error));
  expect(refused).toMatchObject({ reason: "TOKEN_INVALID" });
});

test("a container that is gone is said, the command ends with its session, and none is dialled afterwards", async () => {
  await using session = await startSession();
  await using dial = await startDial(session.id, rig.place);
  using agent = overSocket(dial.socket);
  await agent.health.check({});
  await docker("kill", session.containerId);
  expect(await dial.closed).toBe(0);
  expect(dial.stderr()).toMatch(/The container [0-9a-f]{12} has ended\.\n/);
  await once(connect(dial.socket), "error");
  const { code, stderr } = await claudecluster(rig.place, ["dial", session.id]);
  expect({ code, stderr }).toMatchObject({ code: 4, stderr: expect.stringContaining("SESSION_NOT_RUNNING") as string });
});
