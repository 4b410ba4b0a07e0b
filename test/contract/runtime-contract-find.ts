import { describe, expect, test } from "vitest";
import { echo } from "./echo.ts";
import type { Bench } from "./runtime-contract.ts";

const HOUR_MS = 3_600_000;

export function describeFind(bench: () => Bench): void {
  describe("list", () => {
    test("shows every container of ours as it is, and no other", async () => {
      const { runtime, harness, signal, create } = bench();
      await harness.addForeignContainers();
      await using other = await harness.openRuntime({ otherHost: true }).create(harness.request(), { signal });
      expect(await runtime.list({ signal })).toEqual([]);
      await using first = await create();
      await using second = await create();
      await harness.exitAgent(second.ref, 0);
      await second.exited;
      const refs = await runtime.list({ signal });
      expect(refs).toHaveLength(2);
      expect(refs).toContainEqual(first.ref);
      expect(refs).toContainEqual({ ...second.ref, running: false });
      expect(refs).not.toContainEqual(other.ref);
    });

    test("no longer shows a container once it has been disposed of", async () => {
      const { runtime, signal, create } = bench();
      const container = await create();
      await container[Symbol.asyncDispose]();
      expect(await runtime.list({ signal })).toEqual([]);
    });
  });

  describe("adopt", () => {
    test("takes over a running container after a restart of the host", async () => {
      const { runtime, harness, signal, create } = bench();
      const { ref } = await create();
      await runtime[Symbol.asyncDispose]();
      const restarted = harness.openRuntime();
      const [found] = await restarted.list({ signal });
      expect(found).toEqual(ref);
      await using container = await restarted.adopt(JSON.parse(JSON.stringify(found)), { signal });
      expect(container?.ref).toEqual(ref);
      expect(await echo(await container!.dial({ signal }), "still there")).toBe("still there");
      await harness.exitAgent(ref, 5);
      expect(await container!.exited).toMatchObject({ exitCode: 5, removed: false });
    });

    test("still tells how a container ended that ended before", async () => {
      const { harness, signal, create } = bench();
      await using container = await create();
      await harness.exitAgent(container.ref, 6);
      const exit = await container.exited;
      const adopted = await harness.openRuntime().adopt(container.ref, { signal });
      expect(adopted?.ref.running).toBe(false);
      expect(await adopted?.exited).toEqual(exit);
    });

    test("finds nothing once the container is gone", async () => {
      const { runtime, signal, create } = bench();
      const container = await create();
      await container[Symbol.asyncDispose]();
      expect(await runtime.adopt(container.ref, { signal })).toBeUndefined();
    });

    test("does not touch another host's container, nor another session's", async () => {
      const { runtime, harness, signal, create } = bench();
      await using container = await create();
      expect(await harness.openRuntime({ otherHost: true }).adopt(container.ref, { signal })).toBeUndefined();
      expect(await runtime.adopt({ ...container.ref, sessionId: "another" }, { signal })).toBeUndefined();
    });
  });

  describe("removeAbandoned", () => {
    test("removes what ended long ago, whichever host it was of, and nothing that runs, is paused or live", async () => {
      const { runtime, harness, signal, create } = bench();
      await harness.addForeignContainers();
      const before = await harness.countForeignContainers();
      const lost = await harness.openRuntime({ otherHost: true }).create(harness.request(), { signal });
      await using live = await create();
      await using running = await create();
      await using paused = await create();
      await harness.pause(paused.ref);
      for (const { ref, exited } of [lost, live]) {
        await harness.exitAgent(ref, 1);
        await exited;
      }
      // Others may work on the same machine.
      const known = new Set([lost, running, paused].map(({ ref }) => ref.sessionId));
      const remove = (endedBeforeMs: number) =>
        runtime.removeAbandoned({ endedBeforeMs, isLive: (id) => !known.has(id), signal });
      expect(await remove(Date.now() - HOUR_MS)).toEqual([]);
      expect(await remove(Date.now() + HOUR_MS)).toEqual([lost.ref.id]);
      expect(await harness.countContainers()).toBe(3);
      expect(await harness.countForeignContainers()).toBe(before);
      await harness.resume(paused.ref);
    });
  });

  describe("check", () => {
    test("says what it found, and throws for nothing", async () => {
      const { runtime, signal } = bench();
      expect(await runtime.check({ signal })).toMatchObject({
        healthy: true,
        description: expect.stringMatching(/.+/),
      });
    });
  });
}
