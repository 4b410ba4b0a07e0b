import { expect, test } from "vitest";
import { retryCut } from "./retry-cut.ts";

const { signal } = new AbortController();

test("runs again what failed while a connection was cut, and nothing else", async () => {
  let cuts = 0;
  let runs = 0;
  const fails = (times: number) => () => {
    runs += 1;
    if (runs > times) return Promise.resolve(true);
    cuts += 1;
    return Promise.resolve(false);
  };
  expect(await retryCut({ cutCount: () => cuts, signal }, fails(2), (ok) => ok)).toBe(true);
  expect(runs).toBe(3);
  runs = 0;
  const refused = () => {
    runs += 1;
    return Promise.resolve(false);
  };
  expect(await retryCut({ cutCount: () => cuts, signal }, refused, (ok) => ok)).toBe(false);
  expect(runs).toBe(1);
});

test("gives up when it is told to", async () => {
  const stop = new AbortController();
  let cuts = 0;
  const result = await retryCut(
    { cutCount: () => cuts, signal: stop.signal },
    () => {
      cuts += 1;
      stop.abort();
      return Promise.resolve(false);
    },
    (ok) => ok,
  );
  expect([result, cuts]).toEqual([false, 1]);
});
