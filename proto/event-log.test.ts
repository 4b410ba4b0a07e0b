import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { EventLog } from "./event-log.ts";
import { AssistantTextSchema, SessionFinishedSchema } from "./gen/claudecluster/session/v1alpha1/session_event_pb.ts";

const text = (value: string) => ({
  case: "assistantText" as const,
  value: create(AssistantTextSchema, { text: value }),
});
const finished = { case: "sessionFinished" as const, value: create(SessionFinishedSchema) };
const never = new AbortController().signal;

async function readAll(log: EventLog, afterSequence: number): Promise<number[]> {
  const seen: number[] = [];
  for await (const batch of log.read({ afterSequence, signal: never }))
    seen.push(...batch.map(({ sequence }) => sequence));
  return seen;
}

test("takes nothing after the last event", () => {
  const log = new EventLog();
  expect(log.append(finished).sequence).toBe(1);
  expect(() => log.append(text("late"))).toThrow("too late");
});

test("tells a reader that asks for forgotten events which ones are gone", async () => {
  const log = new EventLog({ keptBytes: 0 });
  for (let index = 0; index < 5; index++) log.append(text("x"));
  log.acknowledge(3);
  await expect(readAll(log, 1)).rejects.toMatchObject({ reason: "EVENTS_DROPPED", kind: "OUT_OF_RANGE" });
  expect(log.acknowledgedSequence).toBe(3);
  expect(log.lastSequence).toBe(5);
});

test("keeps acknowledged events for late readers while there is room", async () => {
  const log = new EventLog({ keptBytes: 10_000 });
  for (let index = 0; index < 5; index++) log.append(text("x"));
  log.acknowledge(5);
  log.append(finished);
  expect(await readAll(log, 0)).toEqual([1, 2, 3, 4, 5, 6]);
  const full = new EventLog({ keptBytes: 10_000 });
  for (let index = 0; index < 50; index++) full.append(text("x".repeat(100)));
  full.acknowledge(45);
  full.append(finished);
  await expect(readAll(full, 0)).rejects.toMatchObject({ reason: "EVENTS_DROPPED" });
  expect(await readAll(full, 45)).toEqual([46, 47, 48, 49, 50, 51]);
});

test("lets a writer wait until what it wrote has been acknowledged", async () => {
  const log = new EventLog({ maxUnacknowledgedBytes: 1000 });
  await log.roomy(never);
  for (let index = 0; index < 20; index++) log.append(text("x".repeat(100)));
  let roomy = false;
  const waiting = log.roomy(never).then(() => (roomy = true));
  log.acknowledge(2);
  await Promise.resolve();
  expect(roomy).toBe(false);
  log.acknowledge(20);
  await waiting;
  const abort = new AbortController();
  for (let index = 0; index < 20; index++) log.append(text("x".repeat(100)));
  const aborted = log.roomy(abort.signal);
  abort.abort(new Error("enough"));
  await expect(aborted).rejects.toThrow("enough");
});
