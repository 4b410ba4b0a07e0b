import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Code } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type AgentRig, type Connection, connectOver, startRig } from "../../test/agent/agent-rig.ts";
import { preparingPlace } from "../../test/agent/preparing-place.ts";

const CHUNK = 64 * 1024;

let rig: AgentRig;
let connection: Connection;
let abort: AbortController;

beforeEach(async () => {
  rig = await startRig({ place: preparingPlace() });
  await rig.agent.listen();
  // As in a container: a socket.
  connection = connectOver(connect(rig.config.socketPath));
  abort = new AbortController();
});

afterEach(async () => {
  abort.abort();
  connection[Symbol.dispose]();
  await rig[Symbol.asyncDispose]();
});

async function openProgram(): Promise<{ program: Socket; connectionId: string }> {
  const program = connect({ port: rig.agent.modelPort, host: "127.0.0.1", allowHalfOpen: true });
  program.on("error", () => {});
  const accepting = new AbortController();
  try {
    for await (const { connectionId } of connection.client.acceptConnections({}, { signal: accepting.signal })) {
      if (connectionId !== "") return { program, connectionId };
    }
  } finally {
    accepting.abort();
  }
  throw new Error("No connection was announced.");
}

function closed(socket: Socket): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    let failure: NodeJS.ErrnoException | undefined;
    socket.once("error", (error) => (failure = error));
    socket.once("close", () => resolve(failure));
  });
}

test("carries a question and its answer, each with its end", async () => {
  const { program, connectionId } = await openProgram();
  program.write("a question");
  const answered = Promise.withResolvers();
  async function* requests() {
    yield { connectionId };
    await answered.promise;
    yield { data: Buffer.from("an answer") };
    yield { end: true };
  }
  let question = "";
  const seen: string[] = [];
  for await (const { data, end } of connection.client.tunnel(requests(), { signal: abort.signal })) {
    seen.push(end ? "end" : data.length === 0 ? "hello" : "data");
    // Not before it has been taken: that is how clients give up.
    if (seen.length === 1) program.end();
    question += Buffer.from(data).toString();
    if (end) answered.resolve(undefined);
  }
  expect(question).toBe("a question");
  expect(seen).toEqual(["hello", "data", "end"]);
  const [answer] = (await once(program, "data")) as [Buffer];
  expect(answer.toString()).toBe("an answer");
});

test("lets the program see a reset when the host goes without saying so", async () => {
  const { program, connectionId } = await openProgram();
  program.resume();
  const gone = closed(program);
  async function* requests() {
    yield { connectionId, data: Buffer.from("half an answer") };
  }
  const stream = connection.client.tunnel(requests(), { signal: abort.signal });
  await expect(drain(stream)).rejects.toMatchObject({ code: Code.Aborted });
  expect((await gone)?.code).toBe("ECONNRESET");
});

test("lets the program see a reset when the host's connection is lost", async () => {
  const { program, connectionId } = await openProgram();
  program.resume();
  const gone = closed(program);
  const stream = connection.client.tunnel(talking({ connectionId }), { signal: abort.signal })[Symbol.asyncIterator]();
  await stream.next();
  connection[Symbol.dispose]();
  await stream.next().catch(() => {});
  expect((await gone)?.code).toBe("ECONNRESET");
});

test("tells the host when the program goes in the middle", async () => {
  const { program, connectionId } = await openProgram();
  const stream = connection.client.tunnel(talking({ connectionId }), { signal: abort.signal })[Symbol.asyncIterator]();
  await stream.next();
  program.resetAndDestroy();
  await expect(stream.next()).rejects.toMatchObject({ code: Code.Aborted });
});

test("refuses connections that do not wait", async () => {
  const { connectionId } = await openProgram();
  const first = connection.client.tunnel(talking({ connectionId }), { signal: abort.signal })[Symbol.asyncIterator]();
  await first.next();
  for (const id of [connectionId, "nonesuch", ""]) {
    await expect(
      drain(connection.client.tunnel(talking({ connectionId: id }), { signal: abort.signal })),
    ).rejects.toMatchObject({
      code: Code.NotFound,
    });
  }
  async function* nothing(): AsyncGenerator<never> {}
  await expect(drain(connection.client.tunnel(nothing(), { signal: abort.signal }))).rejects.toMatchObject({
    code: Code.InvalidArgument,
  });
});

test("holds a bounded amount for a host that does not read", async () => {
  const { program, connectionId } = await openProgram();
  const stream = connection.client.tunnel(talking({ connectionId }), { signal: abort.signal })[Symbol.asyncIterator]();
  await stream.next();
  const { pump, sent } = flood(program);
  await quiet(sent);
  // Windows, streams and kernels hold some; the 256 MiB that there are would show.
  expect(sent()).toBeLessThan(32 * 1024 * 1024);
  program.destroy();
  await pump;
  await stream.next().catch(() => {});
});

test("holds a bounded amount for a program that does not read, and others go on", async () => {
  const { program, connectionId } = await openProgram();
  program.pause();
  let sent = 0;
  async function* requests() {
    yield { connectionId };
    for (; sent < 256 * 1024 * 1024; sent += CHUNK) yield { data: Buffer.alloc(CHUNK) };
  }
  const stream = connection.client.tunnel(requests(), { signal: abort.signal })[Symbol.asyncIterator]();
  const reading = stream.next();
  await quiet(() => sent);
  expect(sent).toBeLessThan(32 * 1024 * 1024);
  expect((await connection.client.getAgentInfo({})).instanceId).toBe(rig.agent.instanceId);
  await reading;
  const next = stream.next();
  program.resetAndDestroy();
  await expect(next).rejects.toMatchObject({ code: Code.Aborted });
});

/** A host that opens a tunnel and then neither says anything nor ends. */
async function* talking<T>(first: T): AsyncGenerator<T> {
  yield first;
  await new Promise((resolve) => abort.signal.addEventListener("abort", resolve));
}

async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

/** Writes 256 MiB as fast as they are taken. */
function flood(socket: Socket): { pump: Promise<void>; sent: () => number } {
  let sent = 0;
  const pump = (async () => {
    while (sent < 256 * 1024 * 1024 && !socket.destroyed) {
      await new Promise<void>((resolve) => socket.write(Buffer.alloc(CHUNK), () => resolve()));
      sent += CHUNK;
    }
  })();
  return { pump, sent: () => sent };
}

/** Resolves when a number has stopped growing. */
async function quiet(read: () => number): Promise<void> {
  let before = -1;
  const still = () => {
    const now = read();
    const same = now === before;
    before = now;
    return same;
  };
  await expect.poll(still, { interval: 200, timeout: 10_000 }).toBe(true);
}
