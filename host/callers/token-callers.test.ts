import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { digestOf } from "./callers.ts";
import { TokenCallers } from "./token-callers.ts";
import { addToken, removeToken, tokensPath } from "./tokens-file.ts";

const SHARED = "the-token-that-all-share";

let directory: string;
let log: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "callers-"));
  log = "";
});
afterEach(() => rmSync(directory, { recursive: true }));

function open(shared?: string): TokenCallers {
  const logger = pino({ level: "trace" }, { write: (line: string) => void (log += line) });
  return new TokenCallers({ stateDirectory: directory, shared, logger });
}

test("knows callers by their tokens, from when these are made", () => {
  using callers = open();
  expect(callers.any).toBe(false);
  const [alice, bob] = [addToken(directory, "alice"), addToken(directory, "bob")];
  expect(callers.find(`Bearer ${alice}`)?.name).toBe("alice");
  expect(callers.find(`bearer ${bob}`)?.name).toBe("bob");
  expect(callers.find(`Bearer ${alice}`)).toBe(callers.find(`Bearer ${alice}`));
  expect(callers.any).toBe(true);
});

test("lets nobody in with anything else", () => {
  using callers = open(SHARED);
  const token = addToken(directory, "alice");
  const wrong = [
    undefined,
    "",
    "Bearer",
    "Bearer ",
    token,
    `Basic ${token}`,
    `Bearer ${token.slice(0, -1)}`,
    `Bearer ${token.slice(4)}`,
    `Bearer ${token}x`,
    `Bearer  ${token}`,
    `Bearer ${token} `,
    `Bearer ${token},Bearer ${token}`,
    `Bearer ${token.toLowerCase()}`,
    `Bearer ${digestOf(token).toString("hex")}`,
    `Bearer alice`,
    `Bearer ${SHARED.slice(0, -1)}`,
    `Bearer ${"x".repeat(100_000)}`,
  ];
  for (const authorization of wrong) expect(callers.find(authorization), authorization).toBeUndefined();
  expect(callers.find(`Bearer ${SHARED}`)).toMatchObject({ name: "" });
  expect(log).toBe("");
});

test("a token that is removed counts no more, and ends what it has begun; a new one of the name begins nothing again", async () => {
  using callers = open(SHARED);
  const [alice, bob] = [addToken(directory, "alice"), addToken(directory, "bob")];
  const [first, other, shared] = [alice, bob, SHARED].map((token) => callers.find(`Bearer ${token}`)!);
  const revoked = once(first!.revoked, "abort");
  removeToken(directory, "alice");
  await revoked;
  expect(callers.find(`Bearer ${alice}`)).toBeUndefined();
  const again = callers.find(`Bearer ${addToken(directory, "alice")}`);
  expect(again).toMatchObject({ name: "alice" });
  expect(again).not.toBe(first);
  expect(callers.find(`Bearer ${alice}`)).toBeUndefined();
  expect([other, again, shared].map((caller) => caller!.revoked.aborted)).toEqual([false, false, false]);
  expect(JSON.parse(log)).toMatchObject({ caller: "alice", msg: "a caller's token was removed" });
});

test("a file that cannot be used lets nobody in with a token of their own, and says so", () => {
  using callers = open(SHARED);
  const token = addToken(directory, "alice");
  const caller = callers.find(`Bearer ${token}`)!;
  writeFileSync(tokensPath(directory), "{}");
  expect(callers.find(`Bearer ${token}`)).toBeUndefined();
  expect(caller.revoked.aborted).toBe(true);
  expect(callers.find(`Bearer ${SHARED}`)).toMatchObject({ name: "" });
  expect(log).toContain("TOKENS_INVALID");
  expect(log).not.toContain(token);
});
