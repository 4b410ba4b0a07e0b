import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, onTestFinished, test, vi } from "vitest";
import type { SessionSpecSchema } from "../../proto/index.ts";
import {
  type EventBody,
  type SessionEvent,
  SessionEventSchema,
  SessionStartedSchema,
  TurnStartedSchema,
} from "../../proto/index.ts";
import { SqliteStore } from "../store/sqlite-store.ts";
import { SessionLog } from "./session-log.ts";
import { Steering } from "./steering.ts";

function start(spec: MessageInitShape<typeof SessionSpecSchema> = {}) {
  const store = SqliteStore.open(":memory:");
  onTestFinished(() => store[Symbol.dispose]());
  const started = create(SessionStartedSchema, { sessionId: "ses_1", spec: { task: "x", ...spec } });
  const log = SessionLog.create(
    store,
    { sessionId: "ses_1", requestId: undefined, container: "{}" },
    { case: "sessionStarted", value: started },
  );
  const said: (string | undefined)[] = [];
  let ending = false;
  const on = (log: SessionLog) => new Steering({ log, say: ({ case: kind }) => said.push(kind), ending: () => ending });
  const steering = on(log);
  const turn = (turn: number, messageId = ""): SessionEvent => {
    const event: EventBody = { case: "turnStarted", value: create(TurnStartedSchema, { turn, messageId }) };
    return create(SessionEventSchema, { sequence: turn, event });
  };
  const read = vi.spyOn(store, "read");
  return {
    steering,
    log,
    readCount: () => read.mock.calls.length,
    said,
    /** What the next host has of it. */
    next: () => on(new SessionLog(store, "ses_1")),
    turn: (number: number, messageId?: string) => log.appendFromAgent([turn(number, messageId)]),
    send: (messageId?: string) => steering.sendMessage({ text: "go on", ...(messageId && { messageId }) }),
    end: () => (ending = true),
  };
}

test("counts messages that are on their way to the agent", async () => {
  const { send, said, turn } = start({ maxTurnCount: 3 });
  await send("m2");
  turn(1);
  await send("m3");
  await expect(send("m4")).rejects.toMatchObject({ reason: "TURN_LIMIT_REACHED" });
  expect(said).toEqual(["userMessage", "userMessage"]);
});

test("takes as many messages as may wait, the task included, before anybody has a container", async () => {
  const { send, turn } = start();
  for (let count = 1; count < 100; count++) await send();
  await expect(send()).rejects.toMatchObject({ reason: "QUEUE_FULL", retryable: true });
  turn(1);
  await send();
});

test("takes a message that is sent again for the same one, on its way and arrived", async () => {
  const { send, turn } = start({ maxTurnCount: 2 });
  await send("m2");
  await send("m2");
  turn(1);
  turn(2, "m2");
  await send("m2");
  await expect(send("m3")).rejects.toMatchObject({ reason: "TURN_LIMIT_REACHED" });
});

test("a message that is sent again once it has arrived takes no other's place, here and under the next host", async () => {
  const { send, turn, next, log, said } = start({ maxTurnCount: 3 });
  await send("m2");
  turn(1);
  turn(2, "m2");
  await send("m2");
  const later = next();
  await later.sendMessage({ text: "go on", messageId: "m2" });
  expect(log.keptNames).toEqual([]);
  expect(said).toEqual(["userMessage"]);
  await later.sendMessage({ text: "go on", messageId: "m3" });
  expect(said).toEqual(["userMessage", "userMessage"]);
});

test("refuses messages without reading the log, which the next host reads once", async () => {
  const { send, turn, next, readCount } = start({ maxTurnCount: 1 });
  turn(1);
  for (let count = 0; count < 10; count++) await expect(send("m2")).rejects.toThrow("takes 1 messages");
  expect(readCount()).toBe(0);
  const later = next();
  const again = () => later.sendMessage({ text: "go on", messageId: "m2" });
  for (let count = 0; count < 10; count++) await expect(again()).rejects.toThrow("takes 1 messages");
  expect(readCount()).toBe(1);
});

test("refuses messages to a session that the host ends", async () => {
  const { send, end, said } = start();
  end();
  await expect(send()).rejects.toMatchObject({ reason: "SESSION_ENDED" });
  expect(said).toEqual([]);
});
