import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex, Readable } from "node:stream";
import { create } from "@bufbuild/protobuf";
import { createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { pino } from "pino";
import { describe, expect, test, vi } from "vitest";
import { callersWith } from "../../host/callers/callers.ts";
import { ControlClient } from "../../host/control/control-client.ts";
import { hostError } from "../../host/control/control-error.ts";
import { ControlServer } from "../../host/control/control-server.ts";
import { dialRequests } from "../../host/control/dial.ts";
import { RemoteSessions } from "../../host/control/remote-sessions.ts";
import { SessionService } from "../../proto/control.ts";
import { ContainerSpecSchema, SessionSpecSchema } from "../../proto/index.ts";
import { echo, exchange, readAll, writeUntilStalled } from "./echo.ts";
import { FakeHarness } from "./fake-harness.ts";
import { MemorySessions } from "./memory-sessions.ts";
import { NO_UPLOADS } from "../support/no-snapshots.ts";
import { QUIET_HOST } from "../support/quiet-host.ts";

const MIB = 2 ** 20;
const TOKEN = "a-token-of-the-tests";

/** A host with a session whose container holds an agent that says back what it is told, or never stops talking. */
async function startHost({ agent = "agent" }: { agent?: "agent" | "floodingAgent" } = {}) {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "claudecluster-dial-"));
  stack.defer(() => rm(directory, { recursive: true }));
  const machine = stack.use(new FakeHarness());
  const runtime = stack.use(machine.openRuntime());
  const container = stack.use(await runtime.create(machine.shape({ agent }), { signal: AbortSignal.timeout(5000) }));
  const sessions = stack.use(new MemorySessions());
  const spec = create(SessionSpecSchema, { task: "x" });
  const { id } = await sessions.create({ spec, container: create(ContainerSpecSchema) });
  sessions.containers.set(id, container);
  const server = stack.use(
    new ControlServer({ sessions, uploads: NO_UPLOADS, host: QUIET_HOST, logger: pino({ level: "silent" }) }),
  );
  const path = join(directory, "host.sock");
  await server.listenUnix(path);
  const port = await server.listenTcp({ host: "127.0.0.1", port: 0, callers: callersWith(TOKEN) });
  const client = stack.use(new ControlClient(path));
  const remote = new RemoteSessions({ client });
  const signal = AbortSignal.timeout(25_000);
  const owned = stack.move();
  return {
    id,
    machine,
    container,
    server,
    sessions,
    client,
    remote,
    port,
    signal,
    dial: () => toDuplex((bytes) => remote.dial(id, bytes, { signal })),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

describe("Dial", () => {
  test("opens a connection of its own every time, many at once", async () => {
    await using host = await startHost();
    const texts = Array.from({ length: 12 }, (_, index) => `connection ${index}`);
    expect(await Promise.all(texts.map((text) => echo(host.dial(), text)))).toEqual(texts);
    await expect.poll(() => host.machine.connectionCount).toBe(0);
  });

  test("carries 50 MB each way unchanged, and the end of one direction before the other's", async () => {
    await using host = await startHost();
    const { sent, received } = await exchange(host.dial(), 50_000_000);
    expect(received).toBe(sent);
    await expect.poll(() => host.machine.connectionCount).toBe(0);
  });

  test("takes little from a writer whose bytes nobody reads, loses none, and holds up no other call", async () => {
    await using host = await startHost();
    const stream = host.dial();
    const taken = await writeUntilStalled(stream, 64 * MIB);
    expect(taken).toBeLessThan(16 * MIB);
    expect(await echo(host.dial(), "beside it")).toBe("beside it");
    stream.end();
    expect((await readAll(stream)).length).toBe(taken + 64 * 1024);
  });

  test("takes little from an agent whose bytes nobody reads", async () => {
    await using host = await startHost({ agent: "floodingAgent" });
    const stream = host.dial();
    await new Promise((resolve) => stream.once("readable", resolve));
    let before = -1;
    await vi.waitUntil(() => before === (before = host.machine.floodedBytes), { interval: 500, timeout: 20_000 });
    expect(before).toBeLessThan(16 * MIB);
    stream.destroy();
    await expect.poll(() => host.machine.connectionCount).toBe(0);
  });

  test.each<[string, (host: Awaited<ReturnType<typeof startHost>>) => Promise<unknown>]>([
    [
      "breaks off reading",
      async ({ remote, id, signal }) => {
        for await (const _ of remote.dial(id, Readable.from([Buffer.from("x")]), { signal })) break;
      },
    ],
    [
      "gives up",
      async ({ remote, id }) => {
        const abort = new AbortController();
        const reason = new Error("enough");
        const reading = (async () => {
          for await (const _ of remote.dial(id, silence(), { signal: abort.signal }));
        })();
        setTimeout(() => abort.abort(reason), 50);
        await expect(reading).rejects.toBe(reason);
      },
    ],
    [
      "is gone, with its connection",
      async ({ remote, client, id, signal }) => {
        const stream = remote.dial(id, Readable.from([Buffer.from("x")]), { signal });
        await stream.next();
        client[Symbol.dispose]();
        await stream.next().catch(() => {});
      },
    ],
  ])("leaves no connection to the agent where a caller %s", async (_what, leave) => {
    await using host = await startHost({ agent: "floodingAgent" });
    await leave(host);
    await expect.poll(() => host.machine.connectionCount).toBe(0);
  });

  test("says that the container has ended, at once and in the middle", async () => {
    await using host = await startHost();
    const { machine, container } = host;
    const stream = host.dial();
    stream.write("last words");
    await new Promise((resolve) => stream.once("readable", resolve));
    await machine.exitAgent(container.ref, 1);
    const gone = { name: "AppError", reason: "CONTAINER_EXITED", kind: "FAILED_PRECONDITION" };
    const read: Buffer[] = [];
    const reading = (async () => {
      for await (const chunk of stream as AsyncIterable<Buffer>) read.push(chunk);
    })();
    await expect(reading).rejects.toMatchObject(gone);
    expect(Buffer.concat(read).toString()).toBe("last words");
    await expect(readAll(host.dial())).rejects.toMatchObject(gone);
  });

  test("says that a connection has broken where the container goes on, and opens another", async () => {
    await using host = await startHost();
    const stream = host.dial();
    stream.write("one");
    await new Promise((resolve) => stream.once("readable", resolve));
    host.machine.cutConnections();
    await expect(readAll(stream)).rejects.toMatchObject({ reason: "CONNECTION_LOST", kind: "UNAVAILABLE" });
    expect(await echo(host.dial(), "again")).toBe("again");
  });

  test("ends with HOST_CLOSING where the host ends", async () => {
    await using host = await startHost();
    const stream = host.dial();
    stream.write("one");
    await new Promise((resolve) => stream.once("readable", resolve));
    const reading = readAll(stream);
    reading.catch(() => {});
    await host.server[Symbol.asyncDispose]();
    await expect(reading).rejects.toMatchObject({ reason: "HOST_CLOSING", retryable: true });
    expect(host.machine.connectionCount).toBe(0);
  });

  test("serves callers on TCP with the token, and no other", async () => {
    await using host = await startHost();
    const clientWith = (token: string) => {
      const authorize: Interceptor = (next) => (request) => {
        request.header.set("authorization", `Bearer ${token}`);
        return next(request);
      };
      const baseUrl = `http://127.0.0.1:${host.port}`;
      return createClient(SessionService, createGrpcTransport({ baseUrl, interceptors: [authorize] }));
    };
    const dial = (token: string) =>
      toDuplex(async function* (bytes) {
        for await (const { data } of clientWith(token).dial(dialRequests(host.id, bytes))) yield data;
      });
    const { sent, received } = await exchange(dial(TOKEN), 20_000_000);
    expect(received).toBe(sent);
    const refused = await readAll(dial("another-token")).catch((error: unknown) => hostError(error));
    expect(refused).toMatchObject({ reason: "TOKEN_INVALID" });
    expect(host.machine.connectionCount).toBe(0);
  });
});

/** Returns a stream of what is carried. */
function toDuplex(carry: (bytes: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>): Duplex {
  const toBytes = async function* (chunks: AsyncIterable<string | Buffer>) {
    for await (const chunk of chunks) yield Buffer.from(chunk);
  };
  return Duplex.from((chunks: AsyncIterable<string | Buffer>) => carry(toBytes(chunks))) as Duplex;
}

async function* silence(): AsyncGenerator<Uint8Array> {
  await new Promise(() => {});
}
