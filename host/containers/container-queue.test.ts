import { expect, test, vi } from "vitest";
import { queueLimits, ContainerQueue } from "./container-queue.ts";

const never = new AbortController().signal;

function enter(queue: ContainerQueue, memoryBytes = 1, signal = never) {
  const told: string[] = [];
  const place = queue.enter({
    memoryBytes,
    signal,
    onPosition: ({ position, reason }) => told.push(`${position} ${reason}`.trim()),
  });
  place.catch(() => {});
  return { told, place };
}

test("admits as many as may run, the others in the order in which they came, and tells them their place", async () => {
  const queue = new ContainerQueue({ maxRunning: 1, maxMemoryBytes: 100 });
  const first = enter(queue);
  const second = enter(queue);
  const third = enter(queue);
  const held = await first.place;
  expect([first.told, second.told, third.told]).toEqual([[], ["1"], ["2"]]);
  held[Symbol.dispose]();
  held[Symbol.dispose]();
  const next = await second.place;
  expect(third.told).toEqual(["2", "1"]);
  expect(queue.waitingCount).toBe(1);
  next[Symbol.dispose]();
  await third.place;
});

test("lets a large session wait for memory, and those behind it too, but runs one that never fits alone", async () => {
  const queue = new ContainerQueue({ maxRunning: 9, maxMemoryBytes: 10 });
  const small = await enter(queue, 4).place;
  const large = enter(queue, 20);
  const behind = enter(queue, 1);
  expect(large.told).toEqual(["1"]);
  expect(behind.told).toEqual(["2"]);
  small[Symbol.dispose]();
  const got = await large.place;
  expect(queue.waitingCount).toBe(1);
  got[Symbol.dispose]();
  await behind.place;
});

test("closes the gap when somebody gives up", async () => {
  const queue = new ContainerQueue({ maxRunning: 1, maxMemoryBytes: 10 });
  await enter(queue).place;
  const gone = new AbortController();
  const second = enter(queue, 1, gone.signal);
  const third = enter(queue);
  gone.abort(new Error("changed my mind"));
  await expect(second.place).rejects.toThrow("changed my mind");
  expect(third.told).toEqual(["2", "1"]);
});

test("admits nobody while it is held, and says why", async () => {
  const queue = new ContainerQueue({ maxRunning: 2, maxMemoryBytes: 10 });
  queue.hold("no engine");
  const first = enter(queue);
  expect(first.told).toEqual(["1 no engine"]);
  queue.release();
  await first.place;
});

test("counts containers that run already", async () => {
  const queue = new ContainerQueue({ maxRunning: 1, maxMemoryBytes: 10 });
  const adopted = queue.take(2);
  const next = enter(queue);
  expect(next.told).toEqual(["1"]);
  adopted[Symbol.dispose]();
  await next.place;
});

test("tells the first at once and those far behind once a second, with their newest place", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  using _clock = { [Symbol.dispose]: () => vi.useRealTimers() };
  const queue = new ContainerQueue({ maxRunning: 1, maxMemoryBytes: 1000 });
  let running = await enter(queue).place;
  const waiting = Array.from({ length: 30 }, () => enter(queue));
  // Each learns its first place at once.
  expect(waiting.map(({ told }) => told)).toEqual(waiting.map((_, index) => [String(index + 1)]));
  const admitNext = async (index: number) => {
    running[Symbol.dispose]();
    running = await waiting[index]!.place;
  };
  for (let index = 0; index < 5; index++) await admitNext(index);
  // Among the first 20 by now: told every time from there.
  expect(waiting[20]!.told).toEqual(["21", "20", "19", "18", "17", "16"]);
  expect(waiting[24]!.told).toEqual(["25", "20"]);
  expect(waiting[29]!.told).toEqual(["30"]);
  vi.advanceTimersByTime(1000);
  expect(waiting[29]!.told).toEqual(["30", "25"]);
  expect(waiting[24]!.told).toEqual(["25", "20"]);
  // Nothing has changed since.
  vi.advanceTimersByTime(5000);
  expect(waiting[29]!.told).toEqual(["30", "25"]);
  expect(vi.getTimerCount()).toBe(0);
  queue.hold("no engine");
  expect(waiting[29]!.told).toEqual(["30", "25"]);
  vi.advanceTimersByTime(1000);
  expect(waiting[29]!.told).toEqual(["30", "25", "25 no engine"]);
});

test("derives what may run from the machine", () => {
  expect(queueLimits({ memoryBytes: 16, cpuCount: 2 })).toEqual({ maxRunning: 8, maxMemoryBytes: 12 });
});

test("admits those who wait when there is room for more, and ends nobody when there is for fewer", async () => {
  const queue = new ContainerQueue({ maxRunning: 1, maxMemoryBytes: 10 });
  const first = enter(queue);
  const second = enter(queue);
  await first.place;
  queue.limits = { maxRunning: 2, maxMemoryBytes: 10 };
  await second.place;
  queue.limits = { maxRunning: 1, maxMemoryBytes: 10 };
  const third = enter(queue);
  (await first.place)[Symbol.dispose]();
  expect(queue.waitingCount).toBe(1);
  (await second.place)[Symbol.dispose]();
  await third.place;
});
