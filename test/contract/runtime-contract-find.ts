import { describe, expect, test } from "vitest";
import { echo } from "./echo.ts";
import type { Bench } from "./runtime-contract.ts";

export function describeFind(bench: () => Bench): void {
  describe("list", () => {
    test("shows every container of this host, when it ended, and no other", async () => {
      const { runtime, harness, signal, create } = bench();
      await harness.addForeignContainers();
      await using _other = await harness.openRuntime({ otherHost: true }).create(harness.shape(), { signal });
      expect(await runtime.list({ signal })).toEqual([]);
      await using running = await create();
      await using paused = await create();
      await using ended = await create();
      await harness.pause(paused.ref);
      await harness.exitAgent(ended.ref, 0);
      await ended.exited;
      const listed = await runtime.list({ signal });
      expect(listed).toHaveLength(3);
      for (const { ref } of [running, paused]) expect(listed).toContainEqual({ ref, endTimeMs: undefined });
      const { endTimeMs } = listed.find(({ ref }) => ref.id === ended.ref.id)!;
      expect(Math.abs(endTimeMs! - Date.now())).toBeLessThan(60_000);
      await harness.resume(paused.ref);
    });

    test("shows those of every host where they are asked for, and never a foreign one", async () => {
      const { runtime, harness, signal, create } = bench();
      const known = async () => new Set((await runtime.list({ everyHost: true, signal })).map(({ ref }) => ref.id));
      const foreign = await harness.addForeignContainers();
      const listed = await known();
      expect(foreign.length).toBeGreaterThan(0);
      expect(foreign.filter((id) => listed.has(id))).toEqual([]);
      await using own = await create();
      await using other = await harness.openRuntime({ otherHost: true }).create(harness.shape(), { signal });
      const found = await known();
      expect([own, other].map(({ ref }) => found.has(ref.id))).toEqual([true, true]);
    });

    test("no longer shows a container once it has been disposed of", async () => {
      const { runtime, signal, create } = bench();
      const container = await create();
      await container[Symbol.asyncDispose]();
      expect(await runtime.list({ signal })).toEqual([]);
    });
  });

  test("what a container uses of its memory is within its limit, where the runtime says it", async () => {
    const { harness, signal, create } = bench();
    await using container = await create();
    const bytes = (await container.memoryUse?.({ signal })) ?? 1;
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(harness.shape().memoryBytes);
  });

  describe("adopt", () => {
    test("takes over a running container after a restart of the host", async () => {
      const { runtime, harness, signal, create } = bench();
      const { ref } = await create();
      await runtime[Symbol.asyncDispose]();
      const restarted = harness.openRuntime();
      const [found] = await restarted.list({ signal });
      expect(found?.ref).toEqual(ref);
      await using container = await restarted.adopt(JSON.parse(JSON.stringify(ref)), { signal });
      expect(container?.ref).toEqual(ref);
      expect(await echo(await container!.dial({ signal }), "still there")).toBe("still there");
      await harness.exitAgent(ref, 5);
      expect(await container!.exited).toMatchObject({ cause: "exited", exitCode: 5 });
    });

    test("still tells how a container ended that ended before", async () => {
      const { harness, signal, create } = bench();
      await using container = await create();
      await harness.exitAgent(container.ref, 6);
      const exit = await container.exited;
      const adopted = await harness.openRuntime().adopt(container.ref, { signal });
      expect(await adopted?.exited).toEqual(exit);
    });

    test("finds nothing once the container is gone", async () => {
      const { runtime, signal, create } = bench();
      const container = await create();
      await container[Symbol.asyncDispose]();
      expect(await runtime.adopt(container.ref, { signal })).toBeUndefined();
    });

    test("takes over what another host has left, to remove it", async () => {
      const { runtime, harness, signal } = bench();
      const { ref } = await harness.openRuntime({ otherHost: true }).create(harness.shape(), { signal });
      await (await runtime.adopt(ref, { signal }))![Symbol.asyncDispose]();
      expect(await harness.countContainers()).toBe(0);
    });

    test("knows nothing of another runtime's container, nor of what a later version wrote", async () => {
      const { runtime, signal, create } = bench();
      await using container = await create();
      expect(await runtime.adopt({ ...container.ref, runtime: "another" }, { signal })).toBeUndefined();
      const later = { ...container.ref, version: 2 } as unknown as typeof container.ref;
      expect(await runtime.adopt(later, { signal })).toBeUndefined();
    });
  });

  describe("check", () => {
    test("says what it found, and throws for nothing", async () => {
      const { runtime, signal } = bench();
      expect(await runtime.check({ signal })).toMatchObject({
        healthy: true,
        description: expect.stringMatching(/.+/),
        capacity: expect.any(Object),
        networkSeal: expect.stringMatching(/^(noInterface|policy)$/),
        enforcedLimits: expect.any(Array),
      });
    });
  });
}
