import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setImmediate as tick } from "node:timers/promises";
import { expect, test } from "vitest";
import { AcceptConnectionsResponse_Listener as Listener } from "../../proto/index.ts";
import { kernelBufferBytes } from "../../test/support/kernel-buffers.ts";
import { type Announcement, Relay } from "./relay.ts";
import type { RelayedConnection } from "./relayed-connection.ts";

interface Rig extends AsyncDisposable {
  readonly relay: Relay;
  readonly modelRequests: () => number;
  /** Connects as a program in the container does. */
  program(port?: number): Promise<Socket>;
}

async function startRelay({ takeMs = 60_000, keepMs = 60_000 } = {}): Promise<Rig> {
  let modelRequests = 0;
  const relay = await Relay.listen({
    modelPort: 0,
    proxyPort: 0,
    gitPort: 0,
    takeMs,
    keepMs,
    onModelRequest: () => (modelRequests += 1),
  });
  const sockets: Socket[] = [];
  return {
    relay,
    modelRequests: () => modelRequests,
    async program(port = relay.modelPort) {
      const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      socket.on("error", () => {});
      sockets.push(socket);
      await once(socket, "connect");
      return socket;
    },
    async [Symbol.asyncDispose]() {
      await relay[Symbol.asyncDispose]();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** A host that listens for announcements until disposed of. */
function listen(relay: Relay): AsyncDisposable & { next(): Promise<Announcement> } {
  const abort = new AbortController();
  const announcements = relay.announcements({ signal: abort.signal });
  return {
    async next() {
      const { value, done } = await announcements.next();
      if (done === true) throw new Error("no more announcements");
      return value;
    },
    async [Symbol.asyncDispose]() {
      abort.abort();
      await announcements.return(undefined);
    },
  };
}

/** Reads a connection as a host does that loses nothing. */
async function* read(connection: RelayedConnection): AsyncGenerator<Buffer> {
  let position = 0;
  for await (const { data, end } of connection.messages(position, new AbortController().signal)) {
    if (end === true) return;
    if (data === undefined || data.length === 0) continue;
    yield Buffer.from(data);
    position += data.length;
    connection.acknowledge(position);
  }
}

async function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

test("carries bytes and half-closes in both directions", async () => {
  await using rig = await startRelay();
  await using host = listen(rig.relay);
  const program = await rig.program();
  program.end("a question");
  const { connectionId, listener } = await host.next();
  expect(listener).toBe(Listener.MODEL);
  const { connection } = rig.relay.take(connectionId);
  let question = "";
  for await (const chunk of read(connection)) question += chunk.toString();
  expect(question).toBe("a question");
  connection.write(Buffer.from("an answer"));
  connection.end();
  expect(await readAll(program)).toBe("an answer");
  await expect.poll(() => connection.endedWell).toBe(true);
});

test("keeps a connection until a host comes, and announces it to each new one", async () => {
  await using rig = await startRelay();
  const program = await rig.program(rig.relay.proxyPort);
  program.write("early");
  {
    await using first = listen(rig.relay);
    expect((await first.next()).listener).toBe(Listener.PROXY);
  }
  await using second = listen(rig.relay);
  const { connectionId } = await second.next();
  const { connection } = rig.relay.take(connectionId);
  const { value } = await read(connection).next();
  expect(String(value)).toBe("early");
  connection.reset();
});

test("forgets a connection whose program gives up before a host takes it", async () => {
  await using rig = await startRelay();
  await using host = listen(rig.relay);
  const impatient = await rig.program();
  impatient.write("a request that nobody waits for");
  const { connectionId } = await host.next();
  impatient.destroy();
  await once(impatient, "close");
  await expect.poll(() => reasonOf(() => rig.relay.take(connectionId))).toBe("CONNECTION_NOT_FOUND");
});

test("cuts a connection that a host does not want", async () => {
  await using rig = await startRelay({ takeMs: 100 });
  const patient = await rig.program();
  const unwanted = new Promise<NodeJS.ErrnoException>((resolve) => patient.once("error", resolve));
  await using host = listen(rig.relay);
  await host.next();
  patient.resume();
  expect((await unwanted).code).toBe("ECONNRESET");
});

test("lets the program see a reset when the host goes in the middle", async () => {
  await using rig = await startRelay();
  await using host = listen(rig.relay);
  const program = await rig.program();
  const { connectionId } = await host.next();
  const { connection } = rig.relay.take(connectionId);
  connection.write(Buffer.from("half an"));
  await once(program, "data");
  const failed = once(program, "error");
  connection.reset();
  const [error] = (await failed) as [NodeJS.ErrnoException];
  expect(error.code).toBe("ECONNRESET");
  await expect(read(connection).next()).rejects.toMatchObject({ reason: "CONNECTION_CLOSED" });
  expect(reasonOf(() => connection.write(Buffer.from("more")))).toBe("CONNECTION_CLOSED");
});

test("reads no further than a little ahead of the host", async () => {
  await using rig = await startRelay();
  await using host = listen(rig.relay);
  const program = await rig.program();
  // More than both kernels' buffers hold.
  const total = 64 * 1024 * 1024;
  program.write(Buffer.alloc(total));
  const { connectionId } = await host.next();
  const { connection } = rig.relay.take(connectionId);
  const reading = read(connection);
  await reading.next();
  await stable(() => program.bytesWritten - program.writableLength);
  expect(program.writableLength).toBeGreaterThan(0);
  let size = 0;
  for await (const chunk of reading) {
    size += chunk.length;
    if (program.writableLength === 0 && program.writable) program.end();
  }
  expect(size).toBeGreaterThan(total / 2);
});

test("makes the host wait while the program does not read", async () => {
  await using rig = await startRelay();
  await using host = listen(rig.relay);
  const program = await rig.program();
  program.pause();
  const { connectionId } = await host.next();
  const { connection } = rig.relay.take(connectionId);
  const chunk = Buffer.alloc(64 * 1024);
  const most = kernelBufferBytes() + 8 * 1024 * 1024;
  const chunkCount = Math.ceil((2 * most) / chunk.length);
  let written = 0;
  const writing = (async () => {
    for (let count = 0; count < chunkCount; count++) {
      connection.write(chunk);
      await connection.drained();
      written += chunk.length;
    }
    connection.end();
  })();
  await stable(() => written);
  // What the kernel's buffers took, and not all that there is.
  expect(written).toBeLessThan(most);
  const received = readAll(program);
  await writing;
  expect((await received).length).toBe(chunkCount * chunk.length);
  program.end();
  await expect.poll(() => connection.endedWell).toBe(true);
});

test("carries at most 256 connections at a time and lets the others wait", async () => {
  await using rig = await startRelay();
  const programs = await Promise.all(Array.from({ length: 300 }, () => rig.program()));
  await using host = listen(rig.relay);
  const ids = new Set<string>();
  for (let count = 0; count < 256; count++) ids.add((await host.next()).connectionId);
  const next = host.next();
  const nobody = await Promise.race([next, tick("nobody yet")]);
  expect(nobody).toBe("nobody yet");
  const [firstId] = ids;
  rig.relay.take(firstId!).connection.reset();
  expect(ids.has((await next).connectionId)).toBe(false);
  expect(programs).toHaveLength(300);
});

test("says when the first bytes of a model request have come, and of nothing else", async () => {
  await using rig = await startRelay();
  const proxied = await rig.program(rig.relay.proxyPort);
  proxied.write("CONNECT");
  const program = await rig.program();
  await using host = listen(rig.relay);
  await host.next();
  await host.next();
  expect(rig.modelRequests()).toBe(0);
  program.write("POST");
  await expect.poll(() => rig.modelRequests()).toBe(1);
});

test("refuses to listen on a port that is taken", async () => {
  await using rig = await startRelay();
  await expect(
    Relay.listen({
      modelPort: 0,
      proxyPort: rig.relay.modelPort,
      gitPort: 0,
      takeMs: 1,
      keepMs: 1,
      onModelRequest: () => {},
    }),
  ).rejects.toMatchObject({ reason: "PORT_UNAVAILABLE" });
});

test("leaves no connection open when disposed of", async () => {
  const rig = await startRelay();
  const program = await rig.program();
  const gone = new Promise<void>((resolve) => program.once("close", () => resolve()));
  await rig[Symbol.asyncDispose]();
  await gone;
});

/** Resolves when a number has stopped growing. */
async function stable(read: () => number): Promise<void> {
  let before = -1;
  await expect
    .poll(
      () => {
        const now = read();
        const still = now === before;
        before = now;
        return still;
      },
      { interval: 200 },
    )
    .toBe(true);
}

function reasonOf(act: () => unknown): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return (error as { reason?: string }).reason;
  }
}
