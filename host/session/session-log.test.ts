import { create } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { AssistantTextSchema, ConnectionMadeSchema, SessionEventSchema } from "../../proto/index.ts";
import { SqliteStore } from "../store/sqlite-store.ts";
import { SessionLog } from "./session-log.ts";

const made = { case: "connectionMade", value: create(ConnectionMadeSchema) } as const;

/** The times, in ms after now, that a log gives to what an agent says to have happened then; 0 is an event of the host's. */
async function timesOf(...afterMs: number[]): Promise<number[]> {
  using store = SqliteStore.open(":memory:");
  store.createSession("ses_1", { container: "", events: [] });
  const log = new SessionLog(store, "ses_1");
  const startMs = Date.now();
  log.append(made);
  for (const [index, ms] of afterMs.entries()) {
    const event = { case: "assistantText", value: create(AssistantTextSchema) } as const;
    const occurTime = timestampFromMs(startMs + ms);
    log.appendFromAgent([create(SessionEventSchema, { sequence: index + 1, occurTime, event })]);
  }
  const times: number[] = [];
  for await (const { occurTime } of log.between(2, Infinity)) times.push(timestampMs(occurTime!) - startMs);
  return times;
}

test("times do not go back for what reached the host on another way", async () => {
  const [first, second] = await timesOf(-47, -46);
  expect(first).toBeGreaterThanOrEqual(0);
  expect(second).toBeGreaterThanOrEqual(first!);
});

test("what was told late keeps its time", async () => {
  expect(await timesOf(-60_000, -59_000)).toEqual([-60_000, -59_000]);
});

test("nothing has happened that is still to come", async () => {
  const [future] = await timesOf(86_400_000);
  expect(future).toBeLessThan(60_000);
});
