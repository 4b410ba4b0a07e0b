import { pino } from "pino";
import { afterEach, expect, test, vi } from "vitest";
import { AppError } from "../../proto/index.ts";
import { FakeMachine } from "../runtime/fake/fake-machine.ts";
import { FakeRuntime, HEALTHY } from "../runtime/fake/fake-runtime.ts";
import type { Container, ContainerShape } from "../runtime/runtime.ts";
import { Containers } from "./containers.ts";
import type { Miss } from "./miss.ts";
import type { Preparation, Prepared } from "./preparation.ts";
import { TIMEOUTS } from "./timeouts.ts";

const shape: ContainerShape = { image: "agent:test", memoryBytes: 100, cpuCount: 1, workspaceSizeBytes: 1 };

afterEach(() => {
  vi.useRealTimers();
});

/** Looking costs a millisecond of the clock that the test turns. */
const soon = (look: () => void) => vi.waitFor(look, { interval: 1, timeout: 5000 });
const SLACK_MS = 2000;

/** What a test prepares containers with, and what it does to them. */
class Preparations {
  readonly prepared: (Prepared & { container: Container; lose: () => void })[] = [];
  /** What preparing waits for. */
  gate: Promise<unknown> = Promise.resolve();
  failure: Error | undefined;
  /** What the check of each does. */
  check: () => Promise<void> = () => Promise.resolve();

  of(key = "usual", refusal?: Miss): Preparation {
    return {
      key,
      refusal: () => Promise.resolve(refusal),
      prepare: (container, options) => this.#prepare(container, options),
    };
  }

  async #prepare(container: Container, { signal }: { signal: AbortSignal }): Promise<Prepared> {
    const aborted = new Promise<never>((_resolve, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true }),
    );
    await Promise.race([this.gate, aborted]);
    if (this.failure !== undefined) throw this.failure;
    const { promise: lost, resolve } = Promise.withResolvers<undefined>();
    const made = {
      container,
      lost,
      lose: () => resolve(undefined),
      check: () => this.check(),
      [Symbol.dispose]: () => {},
    };
    this.prepared.push(made);
    return made;
  }
}

/** A host with a pool, on a machine that outlives it. */
function start({
  warm = 1,
  limits = {},
  machine = makeMachine(),
  handles = [],
  freeBytes = () => Infinity,
}: { warm?: number; limits?: object; machine?: FakeMachine; handles?: string[]; freeBytes?: () => number } = {}) {
  const runtime = new FakeRuntime({ machine });
  const containers = Containers.start({
    runtime,
    handles: () => handles,
    warm,
    limits,
    freeBytes,
    logger: pino({ level: "silent" }),
  });
  const preparations = new Preparations();
  const told: string[] = [];
  const positions: number[] = [];
  const options = {
    signal: AbortSignal.timeout(20_000),
    onProgress: ({ message }: { message: string }) => void told.push(message),
    onPosition: ({ position }: { position: number }) => void positions.push(position),
  };
  const pool = () => containers.status().pool;
  const lease = (preparation = preparations.of(), of = shape) => containers.lease(of, { ...options, preparation });
  /** A session from its start to its end. */
  const session = async (preparation?: Preparation, of?: ContainerShape) => {
    using one = await lease(preparation, of);
    await one.container[Symbol.asyncDispose]();
    return one;
  };
  const ready = async (count = 1) => {
    await expect.poll(pool).toMatchObject({ ready: count, beingMade: 0 });
  };
  return {
    machine,
    runtime,
    containers,
    preparations,
    told,
    positions,
    options,
    pool,
    lease,
    session,
    ready,
    [Symbol.asyncDispose]: () => containers[Symbol.asyncDispose](),
  };
}

function makeMachine(imageId = () => "1"): FakeMachine {
  return new FakeMachine({
    createAgent: () => ({ serve: () => {}, exited: new Promise(() => {}), kill: () => {} }),
    findImage: () => ({ id: imageId(), createTimeMs: 0, labels: {} }),
  });
}

test("nothing is prepared where nothing is to be, nor before a session has run", async () => {
  await using none = start({ warm: 0 });
  await none.session();
  expect(none.told.join()).not.toContain("prepared");
  expect(none.machine.boxes).toEqual([]);
  await using host = start();
  await host.containers.lease(shape, host.options);
  expect(host.pool()).toMatchObject({ size: 1, ready: 0, beingMade: 0, hits: 0 });
});

test("without a number one is prepared where the machine has the memory for it", async () => {
  for (const [memoryBytes, size] of [
    [8 * 1024 ** 3, 1],
    [8 * 1024 ** 3 - 1, 0],
    [undefined, 0],
  ] as const) {
    const machine = makeMachine();
    const runtime = new FakeRuntime({ machine });
    runtime.health = { ...HEALTHY, capacity: memoryBytes === undefined ? {} : { memoryBytes } };
    await using containers = Containers.start({ runtime, handles: () => [], logger: pino({ level: "silent" }) });
    await expect.poll(() => containers.status().pool.size).toBe(size);
  }
});

test("after a session the next one takes a container that was prepared, and another one is prepared", async () => {
  await using host = start();
  expect((await host.session()).taken).toBeUndefined();
  expect(host.told).toContain("No prepared container: none yet.");
  await host.ready();
  const first = await host.lease();
  expect(first.taken).toMatchObject({ prepared: host.preparations.prepared[0] });
  expect(first.container).toBe(host.preparations.prepared[0]!.container);
  expect(host.pool()).toMatchObject({ ready: 0, beingMade: 0, hits: 1, misses: new Map([["none yet", 1]]) });
  first[Symbol.dispose]();
  await host.ready();
  expect(host.preparations.prepared).toHaveLength(2);
});

test("each is given to one of those who want it at once", async () => {
  await using host = start({ warm: 2 });
  await host.session();
  await host.ready(2);
  const leases = await Promise.all(Array.from({ length: 5 }, () => host.lease()));
  const ids = leases.map(({ container }) => container.ref.id);
  expect(new Set(ids).size).toBe(5);
  expect(leases.filter(({ taken }) => taken !== undefined)).toHaveLength(host.pool().hits);
  expect(host.pool().hits).toBeGreaterThan(0);
});

test("what is nearly ready is waited for by one session; for another one it gives way", async () => {
  await using host = start();
  const gate = Promise.withResolvers<undefined>();
  host.preparations.gate = gate.promise;
  await host.session();
  await expect.poll(host.pool).toMatchObject({ beingMade: 1 });
  const waiting = host.lease();
  const second = await host.lease();
  expect(second.taken).toBeUndefined();
  gate.resolve(undefined);
  expect((await waiting).taken).toBeDefined();
  second[Symbol.dispose]();
  (await waiting)[Symbol.dispose]();

  await host.ready();
  host.preparations.gate = new Promise(() => {});
  await host.session();
  await expect.poll(host.pool).toMatchObject({ beingMade: 1 });
  const other = await host.lease(host.preparations.of("another"));
  await expect.poll(host.pool).toMatchObject({ beingMade: 0 });
  expect(host.machine.boxes.map(({ ref }) => ref.id)).toContain(other.container.ref.id);
});

test.each([
  ["other limits", { of: { ...shape, memoryBytes: 200 } }],
  ["other limits", { of: { ...shape, cpuCount: 2 } }],
  ["other image", { of: { ...shape, image: "agent:another" } }],
  ["other arguments", { key: "another" }],
  ["large repository", { refusal: "large repository" as const }],
])(
  "a session that it is nothing for has one made, and is told why: %s",
  async (miss, { of, key, refusal }: { of?: ContainerShape; key?: string; refusal?: Miss }) => {
    await using host = start();
    await host.session();
    await host.ready();
    const { taken } = await host.lease(host.preparations.of(key, refusal), of);
    expect(taken).toBeUndefined();
    expect(host.told).toContain(`No prepared container: ${miss}.`);
    expect([...host.pool().misses]).toContainEqual([miss, 1]);
    expect(host.pool().ready).toBe(1);
  },
);

test("one that is dead, or does not answer in time, or is of an older image is removed", async () => {
  let imageId = "1";
  await using host = start({ machine: makeMachine(() => imageId) });
  const misses = async () => {
    await host.ready();
    const lease = await host.lease();
    expect(lease.taken).toBeUndefined();
    const spare = host.preparations.prepared.at(-1)!.container.ref.id;
    await expect.poll(() => host.machine.box(spare)).toBeUndefined();
    await lease.container[Symbol.asyncDispose]();
    host.preparations.check = () => Promise.resolve();
    lease[Symbol.dispose]();
    return host.told.at(-1);
  };
  await host.session();
  await host.ready();
  host.preparations.check = () => Promise.reject(new Error("no"));
  await misses();
  await host.ready();
  host.preparations.check = () => new Promise(() => {});
  await misses();
  await host.ready();
  imageId = "2";
  await misses();
  expect(host.pool()).toMatchObject({ hits: 0 });
  expect(Object.fromEntries(host.pool().misses)).toEqual({ "none yet": 1, "did not answer": 2, "other image": 1 });
});

test("one that waits for long is released, and the next session has the pool filled again", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] });
  await using host = start();
  await host.session();
  await soon(() => expect(host.pool()).toMatchObject({ ready: 1 }));
  // The machine slept: no timer has run.
  vi.setSystemTime(Date.now() + TIMEOUTS.preparedMaxAgeMs + 1);
  await host.session();
  expect(host.told).toContain("No prepared container: too old.");
  await soon(() => expect(host.pool()).toMatchObject({ ready: 1 }));
  await vi.advanceTimersByTimeAsync(TIMEOUTS.preparedMaxAgeMs + TIMEOUTS.preparedLookMs);
  expect(host.pool()).toMatchObject({ ready: 0, beingMade: 0 });
  await soon(() => expect(host.machine.boxes).toEqual([]));
  await host.session();
  await soon(() => expect(host.pool()).toMatchObject({ ready: 1 }));
});

test("a session that starts is not disturbed; a little after it has begun the next one is prepared", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  await using host = start();
  const cold = await host.lease();
  cold.begun();
  await vi.advanceTimersByTimeAsync(TIMEOUTS.refillAfterMs);
  expect(host.pool()).toMatchObject({ ready: 0, beingMade: 0 });
  await vi.advanceTimersByTimeAsync(TIMEOUTS.refillAfterColdMs);
  await soon(() => expect(host.pool()).toMatchObject({ ready: 1 }));
  const warm = await host.lease();
  const starting = await host.lease();
  warm.begun();
  await vi.advanceTimersByTimeAsync(TIMEOUTS.refillAfterMs);
  expect(host.pool()).toMatchObject({ ready: 0, beingMade: 0 });
  starting[Symbol.dispose]();
  await soon(() => expect(host.pool()).toMatchObject({ ready: 1 }));
});

test("one that cannot be made is tried again later, each time twice as late; so is one that was lost", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  await using host = start();
  host.preparations.failure = new AppError("CONTAINER_CREATE_FAILED", "Not now.");
  let attempts = 0;
  const create = host.machine.create.bind(host.machine);
  host.machine.create = (...given) => (attempts++, create(...given));
  await host.session();
  await soon(() => expect([attempts, host.machine.boxes.length]).toEqual([2, 0]));
  await vi.advanceTimersByTimeAsync(TIMEOUTS.refillFirstMs - SLACK_MS);
  expect(attempts).toBe(2);
  await vi.advanceTimersByTimeAsync(SLACK_MS);
  await soon(() => expect([attempts, host.machine.boxes.length]).toEqual([3, 0]));
  await vi.advanceTimersByTimeAsync(TIMEOUTS.refillFirstMs * 2 - SLACK_MS);
  expect(attempts).toBe(3);
  host.preparations.failure = undefined;
  await vi.advanceTimersByTimeAsync(SLACK_MS);
  await soon(() => expect(host.pool()).toMatchObject({ ready: 1 }));
  host.machine.boxes[0]!.kill();
  await soon(() => expect([host.pool().ready, host.machine.boxes.length]).toEqual([0, 0]));
  await vi.advanceTimersByTimeAsync(TIMEOUTS.refillFirstMs);
  await soon(() => expect(host.pool()).toMatchObject({ ready: 1 }));
  host.preparations.prepared.at(-1)!.lose();
  await soon(() => expect([host.pool().ready, host.machine.boxes.length]).toEqual([0, 0]));
});

test("its place and its memory are given up at once where a session needs them", async () => {
  await using host = start({ limits: { maxRunning: 2, maxMemoryBytes: 250 } });
  await host.session();
  await host.ready();
  const first = await host.lease(host.preparations.of("another"));
  expect(host.pool().ready).toBe(1);
  const second = await host.lease(host.preparations.of("another"));
  expect(host.positions).toEqual([]);
  expect(host.pool().ready).toBe(0);
  await expect.poll(() => host.machine.boxes).toHaveLength(2);
  // Somebody waits, and nothing is made meanwhile.
  const waiting = host.lease();
  await expect.poll(() => host.positions).toEqual([1]);
  first[Symbol.dispose]();
  await waiting;
  second[Symbol.dispose]();
  expect(host.pool()).toMatchObject({ ready: 0, beingMade: 0 });
});

test("where the machine has little memory left it is released, and none is prepared", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] });
  let left = 8 * 1024 ** 3;
  await using host = start({ freeBytes: () => left });
  await host.session();
  await soon(() => expect(host.pool()).toMatchObject({ ready: 1 }));
  left = 1024 ** 3 - 1;
  await vi.advanceTimersByTimeAsync(TIMEOUTS.preparedLookMs);
  await soon(() => expect(host.machine.boxes).toEqual([]));
  await host.session();
  expect(host.told).toContain("No prepared container: little memory.");
  await vi.advanceTimersByTimeAsync(TIMEOUTS.preparedLookMs);
  expect(host.pool()).toMatchObject({ ready: 0, beingMade: 0 });
  left = 1024 ** 3;
  await host.session();
  await soon(() => expect(host.pool()).toMatchObject({ ready: 1 }));
});

test("what is being made gives way, too", async () => {
  await using host = start({ limits: { maxRunning: 1 } });
  host.preparations.gate = new Promise(() => {});
  await host.session();
  await expect.poll(host.pool).toMatchObject({ beingMade: 1 });
  await host.session(host.preparations.of("another"));
  expect(host.positions).toEqual([]);
});

test("the newest kind of session has the place of older ones", async () => {
  await using host = start();
  await host.session();
  await host.ready();
  await host.session(host.preparations.of("another"));
  await expect.poll(() => host.preparations.prepared.length).toBe(2);
  await host.ready();
  await expect.poll(() => host.machine.boxes).toHaveLength(1);
  expect((await host.lease(host.preparations.of("another"))).taken).toBeDefined();
});

test("a session that is taken up again is one after which the next container is prepared", async () => {
  const machine = makeMachine();
  let handle: string;
  {
    await using before = start({ machine, warm: 0 });
    handle = (await before.lease()).handle;
  }
  await using host = start({ machine, handles: [handle] });
  const { signal } = host.options;
  const lease = await host.containers.resume(handle, shape, { signal, preparation: host.preparations.of() });
  lease![Symbol.dispose]();
  await host.ready();
  expect((await host.lease()).taken).toBeDefined();
});

test("a host that ends removes what is ready and what is being made; of one that is killed the next one does", async () => {
  const machine = makeMachine();
  {
    await using host = start({ machine, warm: 2 });
    await host.session();
    await host.ready(2);
    host.preparations.gate = new Promise(() => {});
    await host.session();
    await expect.poll(host.pool).toMatchObject({ ready: 1, beingMade: 1 });
    await expect.poll(() => machine.boxes).toHaveLength(2);
  }
  expect(machine.boxes).toEqual([]);
  {
    const killed = start({ machine });
    await killed.session();
    await killed.ready();
  }
  expect(machine.boxes).toHaveLength(1);
  const [left] = machine.boxes;
  await using next = start({ machine });
  await next.lease();
  expect(machine.boxes).toHaveLength(1);
  expect(machine.boxes[0]).not.toBe(left);
});
