import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import { type AgentRig, startRig } from "../../test/agent/agent-rig.ts";
import { preparingPlace } from "../../test/agent/preparing-place.ts";
import { kernelBufferBytes } from "../../test/support/kernel-buffers.ts";
import { AgentStream } from "../runtime/agent-stream.ts";
import { AgentConnection } from "./agent-connection.ts";
import { serveConnections } from "./serve-connections.ts";
import { Tunnels } from "./tunnels.ts";

const CHUNK = 64 * 1024;
const MIB = 1024 * 1024;

/** A host whose connection to the agent can be lost, and be made again. */
class Host {
  /** The broker's ends of the connections out of the container. */
  readonly accepted: Duplex[] = [];
  readonly #rig: AgentRig;
  readonly #tunnels = new Tunnels();
  #connection: AgentConnection | undefined;
  #carrier: Duplex | undefined;
  readonly #abort = new AbortController();

  constructor(rig: AgentRig) {
    this.#rig = rig;
    onTestFinished(() => this.leave());
  }

  connect(): void {
    // As the runtime gives it.
    this.#carrier = new AgentStream(connect(this.#rig.config.socketPath));
    this.#connection = new AgentConnection(this.#carrier);
    const accept = (_listener: string, connection: Duplex) => void this.accepted.push(connection);
    serveConnections(this.#connection.client, { accept }, { signal: this.#abort.signal, tunnels: this.#tunnels }).catch(
      () => {},
    );
  }

  lose(): void {
    this.#carrier!.destroy();
  }

  leave(): void {
    this.#abort.abort();
    this.#tunnels[Symbol.dispose]();
    this.#connection?.[Symbol.dispose]();
  }

  async next(): Promise<Duplex> {
    await expect.poll(() => this.accepted.length).toBeGreaterThan(0);
    return this.accepted.shift()!;
  }
}

async function start(timeouts = {}): Promise<{ rig: AgentRig; host: Host; program: () => Promise<Socket> }> {
  const rig = await startRig({ place: preparingPlace(), timeouts });
  await rig.agent.listen();
  const host = new Host(rig);
  host.connect();
  onTestFinished(async () => {
    host.leave();
    await rig[Symbol.asyncDispose]();
  });
  return {
    rig,
    host,
    async program() {
      const socket = connect({ port: rig.agent.modelPort, host: "127.0.0.1", allowHalfOpen: true });
      socket.on("error", () => {});
      await once(socket, "connect");
      onTestFinished(() => void socket.destroy());
      return socket;
    },
  };
}

/** Bytes of which each tells where it is. */
function pattern(size: number): Buffer {
  return Buffer.from(Array.from({ length: size }, (_, index) => (index * 31 + (index >> 8)) % 256));
}

async function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

test("carries much in both directions at once", async () => {
  const { host, program } = await start();
  const [first, second] = [await program(), await program()];
  const bytes = pattern(4 * MIB);
  const outside = [await host.next(), await host.next()];
  const read = [first, second, ...outside].map(readAll);
  for (const stream of [first, second, ...outside]) stream.end(bytes);
  for (const each of await Promise.all(read)) expect(each.equals(bytes)).toBe(true);
});

test("neither end of a tunnel notices that the connection is lost, however often, and every byte arrives once", async () => {
  const { host, program } = await start();
  const inside = await program();
  const question = pattern(3 * MIB);
  const answer = pattern(5 * MIB).reverse();
  const feed = async (stream: Duplex, bytes: Buffer) => {
    for (let at = 0; at < bytes.length; at += CHUNK) {
      if (!stream.write(bytes.subarray(at, at + CHUNK))) await once(stream, "drain");
    }
    stream.end();
  };
  const asking = feed(inside, question);
  const answered = readAll(inside);
  const outside = await host.next();
  const asked = readAll(outside);
  const answering = feed(outside, answer);
  for (let losses = 0; losses < 8; losses++) {
    await new Promise((resolve) => setTimeout(resolve, 15));
    host.lose();
    host.connect();
  }
  await Promise.all([asking, answering]);
  expect((await asked).equals(question)).toBe(true);
  expect((await answered).equals(answer)).toBe(true);
  expect(host.accepted).toHaveLength(0);
});

test("what is said while there is no connection arrives with the next one, and so does an end that was said long ago", async () => {
  const { host, program } = await start();
  const inside = await program();
  const outside = await host.next();
  inside.write("a question");
  expect(String((await once(outside, "data"))[0])).toBe("a question");
  host.lose();
  outside.end("an answer");
  inside.end(" and more");
  await new Promise((resolve) => setTimeout(resolve, 100));
  const answered = readAll(inside);
  const rest = readAll(outside);
  host.connect();
  expect(String(await answered)).toBe("an answer");
  expect(String(await rest)).toBe(" and more");
});

test("a tunnel that is destroyed while there is no connection is a reset for its program once there is one", async () => {
  const { host, program } = await start();
  const inside = await program();
  inside.resume();
  const outside = await host.next();
  const failed = once(inside, "error");
  host.lose();
  await new Promise((resolve) => setTimeout(resolve, 50));
  outside.destroy();
  host.connect();
  expect((await failed)[0]).toMatchObject({ code: "ECONNRESET" });
});

test("a program whose host is gone sees a reset once another host has come", async () => {
  const { rig, host, program } = await start();
  const inside = await program();
  inside.resume();
  const failed = once(inside, "error");
  await host.next();
  host.lose();
  host.leave();
  new Host(rig).connect();
  expect((await failed)[0]).toMatchObject({ code: "ECONNRESET" });
});

test("a program whose host does not come back sees a reset after a while", async () => {
  const { host, program } = await start({ keepConnectionMs: 200 });
  const inside = await program();
  inside.resume();
  const failed = once(inside, "error");
  await host.next();
  host.lose();
  expect((await failed)[0]).toMatchObject({ code: "ECONNRESET" });
});

test("a program that goes while there is no connection is an error for the host with the next one", async () => {
  const { host, program } = await start();
  const inside = await program();
  const outside = await host.next();
  host.lose();
  inside.resetAndDestroy();
  await once(inside, "close");
  const failed = once(outside, "error");
  host.connect();
  expect((await failed)[0]).toMatchObject({
    rawMessage: expect.stringMatching(/closed in the container|that waits/) as string,
  });
});

test("holds a bounded amount for what nobody reads, in both directions, and tunnels beside it go on", async () => {
  const { host, program } = await start();
  const stalled = await Promise.all(Array.from({ length: 6 }, () => program()));
  const outside: Duplex[] = [];
  for (const _ of stalled) outside.push(await host.next());
  let written = 0;
  for (const stream of [...stalled, ...outside]) {
    stream.pause();
    void (async () => {
      while (!stream.destroyed) {
        await new Promise<void>((resolve) => stream.write(Buffer.alloc(CHUNK), () => resolve()));
        if (stream.destroyed) return;
        written += CHUNK;
      }
    })();
  }
  let before = -1;
  const still = () => {
    const same = written === before;
    before = written;
    return same;
  };
  await expect.poll(still, { interval: 300, timeout: 15_000 }).toBe(true);
  // Two windows, what a tunnel may hold at least, and what the kernel's buffers take.
  expect(written).toBeLessThan(32 * MIB + stalled.length * kernelBufferBytes());
  const inside = await program();
  const beside = await host.next();
  inside.end(pattern(MIB));
  expect((await readAll(beside)).equals(pattern(MIB))).toBe(true);
  beside.end("an answer");
  expect(String(await readAll(inside))).toBe("an answer");
});
