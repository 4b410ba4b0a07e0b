import { describe, expect, test } from "vitest";
import type { CreateProgress } from "../../host/runtime/runtime.ts";
import { echo } from "./echo.ts";
import type { Bench } from "./runtime-contract.ts";

export function describeCreate(bench: () => Bench): void {
  describe("create", () => {
    test("gives a running container whose agent answers", async () => {
      const { runtime, harness, signal } = bench();
      const request = harness.request();
      await using container = await runtime.create(request, { signal });
      expect(container.ref).toMatchObject({ version: 1, runtime: runtime.name, sessionId: request.sessionId });
      expect(container.ref.running).toBe(true);
      expect(container.ref.sessionUid).toBeGreaterThanOrEqual(1000);
      expect(Math.abs(container.ref.createTimeMs - Date.now())).toBeLessThan(60_000);
      expect(JSON.parse(JSON.stringify(container.ref))).toEqual(container.ref);
      expect(await echo(await container.dial({ signal }), "hello")).toBe("hello");
    });

    test("tells of the image, the create and the start, in this order", async () => {
      const { runtime, harness, signal } = bench();
      const progress: CreateProgress[] = [];
      await using _container = await runtime.create(harness.request(), {
        signal,
        onProgress: (step) => progress.push(step),
      });
      // More than once where the runtime has something to remark.
      expect([...new Set(progress.map(({ phase }) => phase))]).toEqual(["image", "create", "start"]);
      expect(progress.every(({ message }) => message !== "")).toBe(true);
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
      expect(await runtime.inspectImage(harness.request().image, { signal })).toMatchObject({ labels: {} });
      expect(await runtime.inspectImage(harness.missingImage, { signal })).toBeUndefined();
    });

    test("leaves nothing behind when the container cannot be started", async () => {
      const { runtime, harness, signal } = bench();
      const refusal = runtime.create(harness.requestThatFails(), { signal });
      await expect(refusal).rejects.toMatchObject({ reason: "CONTAINER_CREATE_FAILED" });
      expect(await harness.countContainers()).toBe(0);
    });

    test("does nothing when it is canceled before", async () => {
      const { runtime, harness } = bench();
      const reason = new Error("changed my mind");
      const refusal = runtime.create(harness.request(), { signal: AbortSignal.abort(reason) });
      await expect(refusal).rejects.toBe(reason);
      expect(await harness.countContainers()).toBe(0);
    });

    test("ends within a second when it is canceled, however slow the machine, and leaves nothing behind", async () => {
      const { runtime, harness } = bench();
      const held = harness.holdCreates();
      const controller = new AbortController();
      const creation = runtime.create(harness.request(), { signal: controller.signal });
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
      for (const phase of ["image", "create", "start"]) {
        const controller = new AbortController();
        const creation = runtime.create(harness.request(), {
          signal: controller.signal,
          onProgress: (step) => {
            if (step.phase === phase) queueMicrotask(() => controller.abort(new Error(phase)));
          },
        });
        await creation.then(
          (container) => container[Symbol.asyncDispose](),
          (error: unknown) => expect(error).toEqual(new Error(phase)),
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

    test("gives every session a uid of its own, also at the same time", async () => {
      const { harness, signal } = bench();
      const runtimes = [harness.openRuntime(), harness.openRuntime(), harness.openRuntime({ otherHost: true })];
      const containers = await Promise.all(runtimes.map((each) => each.create(harness.request(), { signal })));
      const uids = containers.map(({ ref }) => ref.sessionUid);
      await Promise.all(containers.map((container) => container[Symbol.asyncDispose]()));
      expect(new Set(uids).size).toBe(3);
    });
  });
}
