import { pino } from "pino";
import { expect, test, vi } from "vitest";
import { AppError } from "../../proto/index.ts";
import { type EndReason, RunEnd } from "./end-reason.ts";
import { RoomWait } from "./room-wait.ts";

const NO_ROOM = new AppError("STORE_FAILED", "The disk is full.", { retryable: true, help: "Make room." });

function start() {
  const lines: string[] = [];
  const logger = pino({}, { write: (line: string) => void lines.push((JSON.parse(line) as { msg: string }).msg) });
  const end = new RunEnd();
  return { end, lines, room: new RoomWait({ end, logger, retryMs: 1 }) };
}

test("stores again and again while there is no room, and says so once", async () => {
  const { room, lines } = start();
  let failures = Infinity;
  const storing = room.store(() => {
    if (failures-- > 0) throw NO_ROOM;
  });
  await vi.waitUntil(() => room.reason === "The disk is full. Make room.", { interval: 0, timeout: 20_000 });
  failures = 3;
  await expect(storing).resolves.toBe(true);
  expect(room.reason).toBe("");
  expect(lines).toEqual(["session waits for room", "there is room again, the session goes on"]);
});

test.each<[string, EndReason]>([
  ["stopped", { kind: "stopped", reason: "enough" }],
  ["given up", { kind: "cutShort", error: new Error("too late") }],
])("goes on waiting for room when the session is %s: its log needs an end", async (_name, reason) => {
  const { room, end } = start();
  end.add(reason);
  let failures = 3;
  const storing = room.store(() => {
    if (failures-- > 0) throw NO_ROOM;
  });
  await expect(storing).resolves.toBe(true);
});

test("leaves the rest to the next host when it is let go of", async () => {
  const { room, end } = start();
  end.add({ kind: "detached" });
  await expect(room.store(() => Promise.reject(NO_ROOM))).resolves.toBe(false);
});

test("waits for no room when the session is killed", async () => {
  const { room, end } = start();
  end.add({ kind: "killed", reason: "the host ends" });
  await expect(room.store(() => Promise.reject(NO_ROOM))).rejects.toBe(NO_ROOM);
});

test("waits for nothing but room", async () => {
  const corrupt = new AppError("STORE_CORRUPT", "It cannot be read.");
  await expect(start().room.store(() => Promise.reject(corrupt))).rejects.toBe(corrupt);
});
