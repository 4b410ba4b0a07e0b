import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { AuditLog } from "./audit.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "claudecluster-audit-"));
  vi.useFakeTimers({ toFake: ["Date"] });
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
  vi.setSystemTime(Date.now() + 61_000);
  audit.refused(stranger);
  const lines = readFileSync(join(directory, "audit-refused.log"), "utf8").trim().split("\n");
  expect(lines).toHaveLength(21);
  expect(JSON.parse(lines.at(-1)!)).toMatchObject({ missed: 980, outcome: "TOKEN_INVALID" });
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(250);
  for (let minute = 0; minute < 1000; minute++) {
    vi.setSystemTime(Date.now() + 61_000);
    for (let count = 0; count < 20; count++) audit.refused(stranger);
  }
  expect(readdirSync(directory).sort()).toEqual(["audit-refused.log", "audit-refused.log.1"]);
  for (const name of readdirSync(directory)) {
    expect(statSync(join(directory, name)).size).toBeLessThan(1024 * 1024 + 1000);
  }
});

test("a record that cannot be written keeps no call from being answered", () => {
  const audit = new AuditLog(join(directory, "none"));
  audit.note({ caller: "a", way: "mcp", method: "get", sessionId: "", outcome: "ok" });
  audit.refused(stranger);
  expect(readdirSync(directory)).toEqual([]);
});
