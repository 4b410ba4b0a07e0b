import { describe, expect, test } from "vitest";
import type { CreateProgress } from "../../host/runtime/runtime.ts";
import { echo } from "./echo.ts";
import type { Bench } from "./runtime-contract.ts";

export function describeCreate(bench: () => Bench): void {
  describe("create", () => {
    test("gives a running container whose agent answers", async () => {
      const { runtime, harness, signal } = bench();
      await using container = await runtime.create(harness.shape(), { signal });
      expect(container.ref).toMatchObject({ version: 1, runtime: runtime.name });
      expect(JSON.parse(JSON.stringify(container.ref))).toEqual(container.ref);
      expect(await echo(await container.dial({ signal }), "hello")).toBe("hello");
    });

    test("tells what it is doing, in words of its own", async () => {
      const { runtime, harness, signal } = bench();
      const progress: CreateProgress[] = [];
      await using _container = await runtime.create(harness.shape(), {
        signal,
        onProgress: (step) => progress.push(step),
      });
      expect(progress.length).toBeGreaterThan(0);
      expect(progress.every(({ phase, message }) => phase !== "" && message !== "")).toBe(true);
    });

    test("refuses an image that is not there, with advice, and leaves nothing behind", async () => {
      const { harness, create } = bench();
      const refusal = create({ image: harness.missingImage });
      await expect(refusal).rejects.toMatchObject({ reason: "IMAGE_NOT_FOUND", help: expect.stringMatching(/.+/) });
      await expect(refusal).rejects.toThrow(harness.missingImage);
      expect(await harness.countContainers()).toBe(0);
    });

    test("knows the images that are there from those that are not", async () => {
      const { runtime, harness, signal } = bench();
      expect(await runtime.inspectImage(harness.shape().image, { signal })).toMatchObject({ labels: {} });
      expect(await runtime.inspectImage(harness.missingImage, { signal })).toBeUndefined();
    });

    test("leaves nothing behind when the container cannot be started", async () => {
      const { runtime, harness, signal } = bench();
      const refusal = runtime.create(harness.shapeThatFails(), { signal });
      await expect(refusal).rejects.toMatchObject({ reason: "CONTAINER_CREATE_FAILED" });
      expect(await harness.countContainers()).toBe(0);
    });

    test("does nothing when it is canceled before", async () => {
      const { runtime, harness } = bench();
      const reason = new Error("changed my mind");
      const refusal = runtime.create(harness.shape(), { signal: AbortSignal.abort(reason) });
      await expect(refusal).rejects.toBe(reason);
      expect(await harness.countContainers()).toBe(0);
    });

    test("ends within a second when it is canceled, however slow the machine, and leaves nothing behind", async () => {
      const { runtime, harness } = bench();
      const held = harness.holdCreates();
      const controller = new AbortController();
      const creation = runtime.create(harness.shape(), { signal: controller.signal });
      await held.matched;
      const start = performance.now();
      const reason = new Error("changed my mind");
      controller.abort(reason);
      await expect(creation).rejects.toBe(reason);
      expect(performance.now() - start).toBeLessThan(1000);
      held.release();
      await runtime[Symbol.asyncDispose]();
      expect(await harness.countContainers()).toBe(0);
    });

    test("leaves nothing behind wherever it is canceled", async () => {
      const { runtime, harness } = bench();
      // At its first step, at its second, and so on, until there was no such step.
      for (let step = 1, steps = 1; step <= steps; step++) {
        const controller = new AbortController();
        steps = 0;
        const creation = runtime.create(harness.shape(), {
          signal: controller.signal,
          onProgress: () => {
            if (++steps === step) queueMicrotask(() => controller.abort(new Error(`step ${step}`)));
          },
        });
        await creation.then(
          (container) => container[Symbol.asyncDispose](),
          (error: unknown) => expect(error).toEqual(new Error(`step ${step}`)),
        );
      }
      await runtime[Symbol.asyncDispose]();
      expect(await harness.countContainers()).toBe(0);
    });

    test("leaves nothing behind when the machine's answer is lost", async () => {
      const { runtime, harness, create } = bench();
      harness.loseCreateReply();
      await expect(create()).rejects.toMatchObject({ reason: "RUNTIME_UNAVAILABLE" });
      await runtime[Symbol.asyncDispose]();
      expect(await harness.countContainers()).toBe(0);
    });

    test("does not list what is still being created, which nobody can hold yet", async () => {
      const { runtime, harness, signal, create } = bench();
      const held = harness.holdCreates();
      const creation = create();
      await held.matched;
      expect(await runtime.list({ signal })).toEqual([]);
      held.release();
      await using container = await creation;
      expect((await runtime.list({ signal })).map(({ ref }) => ref)).toEqual([container.ref]);
    });
  });
}
