import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type AuditedCall, AuditLog } from "./audit.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "claudecluster-audit-"));
  vi.useFakeTimers({ toFake: ["Date", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(directory, { recursive: true });
});

const stranger = { way: "control", method: "x".repeat(10_000) } as const;

test("strangers get some lines a minute, which say how many more they were, and no disk is large enough for others", () => {
  const audit = new AuditLog(directory);
  expect(readdirSync(directory)).toEqual([]);
  for (let count = 0; count < 1000; count++) audit.refused(stranger);
  vi.advanceTimersByTime(61_000);
  audit.refused(stranger);
  const lines = readFileSync(join(directory, "audit-refused.log"), "utf8").trim().split("\n");
  expect(lines).toHaveLength(21);
  expect(JSON.parse(lines.at(-1)!)).toMatchObject({ missed: 980, outcome: "TOKEN_INVALID" });
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(250);
  for (let minute = 0; minute < 1000; minute++) {
    vi.advanceTimersByTime(61_000);
    for (let count = 0; count < 20; count++) audit.refused(stranger);
  }
  expect(readdirSync(directory).sort()).toEqual(["audit-refused.log", "audit-refused.log.1"]);
  for (const name of readdirSync(directory)) {
    expect(statSync(join(directory, name)).size).toBeLessThan(1024 * 1024 + 1000);
  }
});

const called = (method: string, more: Partial<AuditedCall> = {}): AuditedCall => ({
  ...{ caller: "a", way: "control", method, sessionId: "ses_1", outcome: "ok" },
  ...more,
});

function linesOf(name: string): Record<string, unknown>[] {
  const text = readFileSync(join(directory, name), "utf8").trim();
  return text.split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);
}

test("however often somebody looks, or is refused, what was done stays on record", () => {
  const audit = new AuditLog(directory);
  audit.note(called("CreateSession"));
  audit.note(called("delete", { way: "mcp" }));
  for (let count = 0; count < 160_000; count++) {
    audit.note(called("GetSession"));
    audit.note(called("StopSession", { outcome: "SESSION_NOT_FOUND" }));
  }
  expect(linesOf("audit.log").map(({ method }) => method)).toEqual(["CreateSession", "delete"]);
  const names = ["audit-reads.log", "audit-reads.log.1", "audit.log"];
  expect(readdirSync(directory).sort()).toEqual(names);
  for (const name of names) expect(statSync(join(directory, name)).size).toBeLessThan(32 * 1024 * 1024 + 1000);
});

test("of one caller so many lines are written a minute, the others apart from them, and other callers keep theirs", () => {
  const audit = new AuditLog(directory);
  for (let count = 0; count < 999; count++) audit.note(called("Attach.interrupt"));
  audit.note(called("StopSession"));
  audit.note(called("StopSession", { caller: "b" }));
  vi.advanceTimersByTime(61_000);
  audit.note(called("SendMessage"));
  const lines = linesOf("audit.log");
  expect(lines).toHaveLength(602);
  expect(lines.slice(-2)).toMatchObject([
    { caller: "b", method: "StopSession" },
    { caller: "a", method: "SendMessage", missed: 400 },
  ]);
  const others = linesOf("audit-reads.log");
  expect(others).toHaveLength(400);
  expect(others.at(-1)).toMatchObject({ caller: "a", method: "StopSession", session_id: "ses_1", outcome: "ok" });
});

test("a clock that is set back keeps nothing off the record", () => {
  const audit = new AuditLog(directory);
  for (let count = 0; count < 1000; count++) audit.refused(stranger);
  vi.setSystemTime(Date.now() - 86_400_000);
  vi.advanceTimersByTime(61_000);
  audit.refused(stranger);
  expect(linesOf("audit-refused.log")).toHaveLength(21);
});

test.each([
  ["CreateSession", true],
  ["create", true],
  ["Dial", true],
  ["OpenPage", false],
  ["Attach", false],
  ["Attach.stop", true],
  ["watchAll", false],
  ["ServerReflectionInfo", false],
  ["AnythingNew", true],
])("%s is what somebody has done: %s", (method, done) => {
  new AuditLog(directory).note(called(method));
  expect(readdirSync(directory)).toEqual([done ? "audit.log" : "audit-reads.log"]);
});

test("a record that cannot be written keeps no call from being answered", () => {
  const audit = new AuditLog(join(directory, "none"));
  audit.note({ caller: "a", way: "mcp", method: "get", sessionId: "", outcome: "ok" });
  audit.refused(stranger);
  expect(readdirSync(directory)).toEqual([]);
});
