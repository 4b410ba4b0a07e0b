import { describe, expect, test } from "vitest";
import type { Bench } from "./runtime-contract.ts";
import { TERM_EXIT_CODE, exitLogLine } from "./runtime-harness.ts";

export function describeEnd(bench: () => Bench): void {
  describe("exited", () => {
    test("tells the exit code and the last lines of the log", async () => {
      const { create, harness } = bench();
      await using container = await create();
      await harness.exitAgent(container.ref, 7);
      const exit = await container.exited;
      expect(exit).toMatchObject({ exitCode: 7, outOfMemory: false, removed: false });
      expect(exit.lastLogLines.at(-1)).toBe(exitLogLine(7));
    });

    test("tells that something was killed for want of memory", async () => {
      const { create, harness } = bench();
      await using container = await create();
      await harness.exhaustMemory(container.ref);
      await harness.exitAgent(container.ref, 3);
      expect(await container.exited).toMatchObject({ exitCode: 3, outOfMemory: true, removed: false });
    });

    test("resolves when somebody else removes the container", async () => {
      const { create, harness } = bench();
      await using container = await create();
      await harness.removeBehindBack(container.ref);
      const { removed, exitCode } = await container.exited;
      // What was quicker: a look at the end, or the removal.
      expect(removed || exitCode === 137).toBe(true);
    });

    test("resolves once, the same for everybody, also after the container is gone", async () => {
      const { create, harness, signal } = bench();
      await using container = await create();
      let resolved = 0;
      void container.exited.then(() => resolved++);
      const adopted = await harness.openRuntime().adopt(container.ref, { signal });
      await container[Symbol.asyncDispose]();
      const exit = await container.exited;
      expect(exit).toMatchObject({ exitCode: 137, removed: false });
      expect(await container.exited).toBe(exit);
      await adopted?.exited;
      expect(resolved).toBe(1);
    });
  });

  describe("stop", () => {
    test("asks the agent first", async () => {
      const { create } = bench();
      await using container = await create();
      await container.stop({ graceMs: 20_000 });
      expect(await container.exited).toMatchObject({ exitCode: TERM_EXIT_CODE, removed: false });
    });

    test("ends an agent that does not listen, when the grace is over", async () => {
      const { create, signal } = bench();
      await using container = await create({ agent: "deafAgent" });
      (await container.dial({ signal })).destroy(); // It is there, so it has had the time to stop listening.
      const start = performance.now();
      await container.stop({ graceMs: 500 });
      expect(performance.now() - start).toBeGreaterThan(450);
      expect(await container.exited).toMatchObject({ exitCode: 137, removed: false });
    });

    test("is fine twice, at once, and after the end", async () => {
      const { create } = bench();
      await using container = await create();
      await Promise.all([container.stop({ graceMs: 10_000 }), container.stop({ graceMs: 10_000 })]);
      await container.stop({ graceMs: 0 });
      await container[Symbol.asyncDispose]();
      await container.stop({ graceMs: 0 });
    });

    test("ends a paused container", async () => {
      const { create, harness } = bench();
      await using container = await create();
      await harness.pause(container.ref);
      await container.stop({ graceMs: 1000 });
      expect(await container.exited).toMatchObject({ removed: false });
    });
  });

  describe("dispose", () => {
    test("removes a running container, once, however often it is called", async () => {
      const { create, harness } = bench();
      const container = await create();
      await Promise.all([container[Symbol.asyncDispose](), container[Symbol.asyncDispose]()]);
      expect(await harness.countContainers()).toBe(0);
      await container[Symbol.asyncDispose]();
    });

    test("is fine for a container that somebody else removes, before or at the same time", async () => {
      const { create, harness } = bench();
      const [before, meanwhile] = [await create(), await create()];
      await harness.removeBehindBack(before.ref);
      await before[Symbol.asyncDispose]();
      await Promise.all([harness.removeBehindBack(meanwhile.ref), meanwhile[Symbol.asyncDispose]()]);
      expect(await harness.countContainers()).toBe(0);
    });

    test("removes a paused container and one that has ended", async () => {
      const { create, harness } = bench();
      const [paused, ended] = [await create(), await create()];
      await harness.pause(paused.ref);
      await harness.exitAgent(ended.ref, 0);
      await ended.exited;
      await Promise.all([paused[Symbol.asyncDispose](), ended[Symbol.asyncDispose]()]);
      expect(await harness.countContainers()).toBe(0);
    });

    test("of the runtime leaves containers running", async () => {
      const { create, runtime, harness, signal } = bench();
      const { ref } = await create();
      await runtime[Symbol.asyncDispose]();
      await runtime[Symbol.asyncDispose]();
      await using adopted = await harness.openRuntime().adopt(ref, { signal });
      expect(adopted?.ref.running).toBe(true);
    });
  });
}
