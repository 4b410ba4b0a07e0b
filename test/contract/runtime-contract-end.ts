import { describe, expect, test } from "vitest";
import { echo } from "./echo.ts";
import type { Bench } from "./runtime-contract.ts";
import { exitLogLine } from "./runtime-harness.ts";

export function describeEnd(bench: () => Bench): void {
  describe("exited", () => {
    test("tells the exit code and the last lines of the log", async () => {
      const { create, harness } = bench();
      await using container = await create();
      await harness.exitAgent(container.ref, 7);
      const exit = await container.exited;
      expect(exit).toMatchObject({ cause: "exited", exitCode: 7 });
      expect(exit.lastLogLines.at(-1)).toBe(exitLogLine(7));
    });

    test("tells an agent that was killed for want of memory from one that lived on when something else was", async () => {
      const { create, harness } = bench();
      await using killed = await create();
      await using living = await create();
      for (const { ref } of [killed, living]) await harness.exhaustMemory(ref);
      await harness.kill(killed.ref);
      await harness.exitAgent(living.ref, 3);
      expect(await killed.exited).toMatchObject({ cause: "outOfMemory" });
      expect(await living.exited).toMatchObject({ cause: "exited", exitCode: 3 });
    });

    test("tells that somebody killed the container", async () => {
      const { create, harness } = bench();
      await using container = await create();
      await harness.kill(container.ref);
      expect(await container.exited).toMatchObject({ cause: "killed" });
    });

    test("resolves when somebody else removes the container", async () => {
      const { create, harness } = bench();
      await using container = await create();
      await harness.removeBehindBack(container.ref);
      // What was quicker: a look at the end, or the removal.
      expect(["removed", "killed"]).toContain((await container.exited).cause);
    });

    test("resolves once, the same for everybody, also after the container is gone", async () => {
      const { create, harness, signal } = bench();
      await using container = await create();
      let resolved = 0;
      void container.exited.then(() => resolved++);
      const adopted = await harness.openRuntime().adopt(container.ref, { signal });
      await container[Symbol.asyncDispose]();
      const exit = await container.exited;
      expect(exit).toMatchObject({ cause: "killed" });
      expect(await container.exited).toBe(exit);
      await adopted?.exited;
      expect(resolved).toBe(1);
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
      expect(await echo(await adopted!.dial({ signal }), "still there")).toBe("still there");
    });
  });
}
