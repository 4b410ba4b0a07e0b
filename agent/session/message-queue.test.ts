import { expect, test } from "vitest";
import { MessageQueue } from "./message-queue.ts";

const never = new AbortController().signal;

test("hands messages out in order, each id once", () => {
  const queue = new MessageQueue();
  queue.add("one", "a");
  queue.add("two", "");
  queue.add("one again", "a");
  queue.add("three", "");
  expect([queue.take(), queue.take(), queue.take(), queue.take()].map((message) => message?.text)).toEqual([
    "one",
    "two",
    "three",
    undefined,
  ]);
  queue.add("one, much later", "a");
  expect(queue.take()).toBeUndefined();
});

test("takes no more than it may, task included, and says so", () => {
  const queue = new MessageQueue({ maxCount: 2 });
  expect([queue.add("task", ""), queue.add("two", "m2"), queue.add("two", "m2")]).toEqual([true, true, false]);
  expect(queue.length).toBe(2);
  queue.take();
  expect(() => queue.add("three", "m3")).toThrow(expect.objectContaining({ reason: "TURN_LIMIT_REACHED" }));
});

test("tells a waiting reader that there is a message, or that it is to stop", async () => {
  const queue = new MessageQueue();
  const filled = queue.filled(never);
  queue.add("hello", "");
  await filled;
  await queue.filled(never);
  queue.take();
  const abort = new AbortController();
  const stopped = queue.filled(abort.signal);
  abort.abort();
  await stopped;
  expect(queue.take()).toBeUndefined();
});

test("refuses what cannot be a message", () => {
  const queue = new MessageQueue();
  expect(() => queue.add("\n ", "")).toThrow(expect.objectContaining({ reason: "MESSAGE_EMPTY" }));
  expect(() => queue.add("x".repeat(1024 * 1024 + 1), "")).toThrow(
    expect.objectContaining({ reason: "MESSAGE_TOO_LONG" }),
  );
  expect(() => queue.add("x", "i".repeat(129))).toThrow(expect.objectContaining({ reason: "MESSAGE_ID_INVALID" }));
  for (let count = 0; count < 100; count++) queue.add("x", "");
  expect(() => queue.add("x", "later")).toThrow(expect.objectContaining({ reason: "QUEUE_FULL", retryable: true }));
  queue.take();
  queue.add("x", "later");
});

test("takes nothing after it has been closed, and says so, but knows what it had", () => {
  const queue = new MessageQueue();
  queue.add("one", "a");
  queue.close();
  queue.add("one", "a");
  expect(() => queue.add("two", "b")).toThrow("The session is ending or over");
});
