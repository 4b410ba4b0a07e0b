import { pino } from "pino";
import { expect, test } from "vitest";
import { AppError } from "../../proto/index.ts";
import { FakeMachine } from "../runtime/fake/fake-machine.ts";
import { FakeRuntime, HEALTHY } from "../runtime/fake/fake-runtime.ts";
import type { CreateProgress } from "../runtime/runtime.ts";
import { Containers } from "./containers.ts";

const shape = { image: "agent:test", memoryBytes: 100, cpuCount: 1, workspaceSizeBytes: 1 };

/** A host's containers on a machine that outlives it. */
function start(
  machine = makeMachine(),
  { handles = [], memoryBytes }: { handles?: string[]; memoryBytes?: number } = {},
) {
  const runtime = new FakeRuntime({ machine });
  if (memoryBytes !== undefined) runtime.health = { ...HEALTHY, capacity: { memoryBytes } };
  const containers = Containers.start({ runtime, handles: () => handles, logger: pino({ level: "silent" }) });
  const progress: CreateProgress[] = [];
  const positions: number[] = [];
  const options = {
    signal: AbortSignal.timeout(20_000),
    onProgress: (step: CreateProgress) => progress.push(step),
    onPosition: ({ position }: { position: number }) => positions.push(position),
  };
  return {
    machine,
    runtime,
    containers,
    options,
    progress,
    positions,
    [Symbol.asyncDispose]: () => containers[Symbol.asyncDispose](),
  };
}

function makeMachine(): FakeMachine {
  return new FakeMachine({
    createAgent: () => ({ serve: () => {}, exited: new Promise(() => {}), kill: () => {} }),
  });
}

test("a lease is taken up again by the next host, and what nobody holds is gone before the first new one", async () => {
  const machine = makeMachine();
  let handle: string;
  {
    await using before = start(machine);
    handle = (await before.containers.lease(shape, before.options)).handle;
    // Its host is killed before it could be told of it.
    await before.runtime.create(shape, before.options);
  }
  expect(machine.boxes).toHaveLength(2);
  await using host = start(machine, { handles: [handle] });
  using fresh = await host.containers.lease(shape, host.options);
  const lease = (await host.containers.resume(handle, shape, host.options))!;
  const [kept, made] = [lease.container.ref.id, fresh.container.ref.id];
  expect(machine.boxes.map(({ ref }) => ref.id)).toEqual([kept, made]);
  await lease.container[Symbol.asyncDispose]();
  expect(await host.containers.resume(handle, shape, host.options)).toBeUndefined();
});

test("a container of a runtime that this host does not have is not taken for one that is gone", async () => {
  await using host = start();
  const handle = JSON.stringify({ version: 1, runtime: "another", id: "pod-1" });
  await expect(host.containers.resume(handle, shape, host.options)).rejects.toMatchObject({
    reason: "RUNTIME_DIFFERS",
  });
});

test("a handle of an older version, which named a session too, is resumed", async () => {
  await using host = start();
  const { container } = await host.containers.lease(shape, host.options);
  const old = { ...container.ref, sessionId: "ses_1", sessionUid: 20_000, createTimeMs: 1, running: true };
  using lease = await host.containers.resume(JSON.stringify(old), shape, host.options);
  expect(lease?.container.ref).toEqual(container.ref);
});

test("places are bounded by the runtime's machine, given back by a create that fails, and kept for a replacement", async () => {
  await using host = start(makeMachine(), { memoryBytes: 150 });
  const { containers, options, machine, positions } = host;
  machine.failNextCreate(new AppError("IMAGE_NOT_FOUND", "No image."));
  await expect(containers.lease(shape, options)).rejects.toMatchObject({ reason: "IMAGE_NOT_FOUND" });
  const first = await containers.lease(shape, options);
  const second = containers.lease(shape, options);
  await expect.poll(() => positions).toEqual([1]);
  const { handle } = first;
  await first.container[Symbol.asyncDispose]();
  await first.replace(options);
  expect(first.handle).not.toBe(handle);
  expect(containers.status()).toMatchObject({ queuedCount: 1 });
  first[Symbol.dispose]();
  await second;
  expect(() => containers.check({ ...shape, memoryBytes: 151 })).toThrow(
    expect.objectContaining({ reason: "MEMORY_INVALID" }),
  );
});

test("what fails by chance is tried again, and said so", async () => {
  await using host = start();
  host.machine.failNextCreate(new AppError("CONTAINER_CREATE_FAILED", "Not now.", { retryable: true }));
  await host.containers.lease(shape, host.options);
  expect(host.progress).toContainEqual({ phase: "retry", message: "Not now. It is tried again." });
});
