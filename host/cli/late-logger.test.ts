import { expect, test } from "vitest";
import { lateLogger } from "./late-logger.ts";

test("creates the log once, with the first line", async () => {
  const lines: unknown[] = [];
  const note = (level: string) => (fields: object, text: string) => void lines.push([level, fields, text]);
  let count = 0;
  const logger = lateLogger(() => Promise.resolve({ warn: note("warn"), error: note("error"), count: ++count }));
  expect(count).toBe(0);
  logger.warn({ a: 1 }, "first");
  logger.error({}, "second");
  await logger.load();
  expect(lines).toEqual([
    ["warn", { a: 1 }, "first"],
    ["error", {}, "second"],
  ]);
  expect(count).toBe(1);
});

test("a log that cannot be created ends nothing", async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown) => void unhandled.push(error);
  process.on("unhandledRejection", note);
  try {
    const logger = lateLogger(() => Promise.reject(new Error("gone")));
    logger.warn({}, "lost");
    await expect(logger.load()).rejects.toThrow("gone");
    // They are told of behind the microtasks.
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).toEqual([]);
  } finally {
    process.off("unhandledRejection", note);
  }
});
