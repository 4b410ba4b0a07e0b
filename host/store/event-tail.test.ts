import { expect, test } from "vitest";
import { EventTail } from "./event-tail.ts";

const event = (number: number, size: number) => new Uint8Array(size).fill(number % 251);

test("the newest events are there, as they were, and are the reader's own", () => {
  const tail = new EventTail();
  expect(tail.newest(0)).toEqual([]);
  expect(tail.newest(1)).toBeUndefined();
  const sizes = [0, 1, 5000, 30, 70_000, 2, 60_000, 1000, 65_536, 65_536, 1, 131_072, 131_072, 10];
  const pushed: Uint8Array[] = [];
  let read: { events: Uint8Array[]; expected: Uint8Array[] } | undefined;
  for (const [number, size] of sizes.entries()) {
    pushed.push(event(number + 1, size));
    tail.push(pushed.at(-1)!);
    expect(tail.newest(1)).toEqual(pushed.slice(-1));
    // What was read before is not what comes later.
    if (read !== undefined) expect(read.events).toEqual(read.expected);
    for (let count = 1; count <= pushed.length; count++) {
      const events = tail.newest(count);
      if (events === undefined) break;
      read = { events, expected: pushed.slice(-count) };
      expect(events).toEqual(read.expected);
      expect(tail.newest(count, 2)).toEqual(read.expected.slice(0, 2));
    }
  }
});

test("it keeps at least half of what it has room for, and no more than that", () => {
  const tail = new EventTail();
  for (let number = 1; number <= 2000; number++) {
    tail.push(event(number, 400));
    expect(tail.newest(Math.floor((128 * 1024) / 400) + 1, 0)).toBeUndefined();
    expect(tail.newest(Math.min(number, Math.floor((64 * 1024) / 400)), 0)).toEqual([]);
  }
});

test("an event that has no room is not there, and neither are those before it", () => {
  const tail = new EventTail();
  tail.push(event(1, 10));
  tail.push(event(2, 200_000));
  expect(tail.newest(1)).toBeUndefined();
  tail.push(event(3, 10));
  expect(tail.newest(1)).toEqual([event(3, 10)]);
  expect(tail.newest(2)).toBeUndefined();
});
