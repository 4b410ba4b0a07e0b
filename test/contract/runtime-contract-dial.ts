import { getEventListeners, once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { echo, exchange, readAll, writeUntilStalled } from "./echo.ts";
import type { Bench } from "./runtime-contract.ts";

const MIB = 2 ** 20;

export function describeDial(bench: () => Bench): void {
  describe("dial", () => {
    test("opens a connection of its own every time, many at once", async () => {
      const { create, signal } = bench();
      await using container = await create();
      const texts = Array.from({ length: 12 }, (_, index) => `connection ${index}`);
      const streams = await Promise.all(texts.map(() => container.dial({ signal })));
      expect(await Promise.all(streams.map((stream, index) => echo(stream, texts[index]!)))).toEqual(texts);
    });

    test("carries 50 MB each way unchanged, and the end of one direction before the other's", async () => {
      const { create, signal } = bench();
      await using container = await create();
      const { sent, received } = await exchange(await container.dial({ signal }), 50_000_000);
      expect(received).toBe(sent);
    });

    test("takes little from a writer whose bytes nobody reads, and loses none of them", async () => {
      const { create, signal } = bench();
      await using container = await create();
      const stream = await container.dial({ signal });
      const taken = await writeUntilStalled(stream, 64 * MIB);
      expect(taken).toBeLessThan(16 * MIB);
      stream.end();
      // The write that was stalled goes out, too.
      expect((await readAll(stream)).length).toBe(taken + 64 * 1024);
    });

    test("keeps little of what an agent sends that nobody reads", async () => {
      const { create, signal } = bench();
      await using container = await create({ agent: "floodingAgent" });
      const stream = await container.dial({ signal });
      await once(stream, "readable");
      const before = process.memoryUsage();
      await sleep(1500);
      expect(stream.readableLength).toBeLessThan(MIB);
      expect(process.memoryUsage().arrayBuffers - before.arrayBuffers).toBeLessThan(16 * MIB);
      stream.destroy();
    });

    test("gives a stream that outlives the signal it was dialled with, and leaves no listener on it", async () => {
      const { create } = bench();
      await using container = await create();
      const controller = new AbortController();
      const stream = await container.dial({ signal: controller.signal });
      expect(getEventListeners(controller.signal, "abort")).toHaveLength(0);
      controller.abort();
      expect(await echo(stream, "still open")).toBe("still open");
    });

    test("waits while the container is paused", async () => {
      const { create, harness, signal } = bench();
      await using container = await create();
      await harness.pause(container.ref);
      let dialled = false;
      const dial = container.dial({ signal }).then((stream) => {
        dialled = true;
        return stream;
      });
      await sleep(2000);
      expect(dialled).toBe(false);
      await harness.resume(container.ref);
      expect(await echo(await dial, "awake")).toBe("awake");
    });

    test("ends within a second when it is canceled, with the signal's reason", async () => {
      const { create, harness } = bench();
      await using container = await create();
      await harness.pause(container.ref);
      const controller = new AbortController();
      const reason = new Error("enough");
      const dial = container.dial({ signal: controller.signal });
      await sleep(300);
      const start = performance.now();
      controller.abort(reason);
      await expect(dial).rejects.toBe(reason);
      expect(performance.now() - start).toBeLessThan(1000);
      await expect(container.dial({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    });

    test("says that the container has ended once it has", async () => {
      const { create, harness, signal } = bench();
      await using container = await create();
      await harness.exitAgent(container.ref, 9);
      await container.exited;
      await expect(container.dial({ signal })).rejects.toMatchObject({ reason: "CONTAINER_EXITED" });
    });

    test("says so also for a container that has been disposed of", async () => {
      const { create, signal } = bench();
      const container = await create();
      await container[Symbol.asyncDispose]();
      await expect(container.dial({ signal })).rejects.toMatchObject({ reason: "CONTAINER_EXITED" });
    });

    test("tells the reader of a connection that breaks, and opens another", async () => {
      const { create, harness, signal } = bench();
      await using container = await create();
      const stream = await container.dial({ signal });
      stream.write("one");
      await once(stream, "readable");
      harness.cutConnections();
      await expect(readAll(stream)).rejects.toMatchObject({ reason: "CONNECTION_LOST", retryable: true });
      expect(stream.destroyed).toBe(true);
      expect(await echo(await container.dial({ signal }), "again")).toBe("again");
    });

    test("breaks connections when the container ends, after what had arrived", async () => {
      const { create, harness, signal } = bench();
      await using container = await create();
      const stream = await container.dial({ signal });
      stream.write("last words");
      await once(stream, "readable");
      await harness.exitAgent(container.ref, 1);
      await container.exited;
      const read: Buffer[] = [];
      const reading = (async () => {
        for await (const chunk of stream as AsyncIterable<Buffer>) read.push(chunk);
      })();
      await expect(reading).rejects.toMatchObject({ reason: "CONNECTION_LOST" });
      expect(Buffer.concat(read).toString()).toBe("last words");
    });
  });
}
