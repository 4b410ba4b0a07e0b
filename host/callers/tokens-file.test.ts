import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ExclusiveLock } from "../exclusive-lock.ts";
import { digestOf } from "./callers.ts";
import { addToken, readTokens, removeToken, tokensPath } from "./tokens-file.ts";

let directory: string;
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), "tokens-"))));
afterEach(() => rmSync(directory, { recursive: true }));

const names = () => readTokens(directory).map(({ name }) => name);

test("keeps of a token what nobody can show, in a file that is this user's alone", () => {
  const token = addToken(directory, "alice");
  expect(token).toMatch(/^ccl_[\w-]{43}$/);
  const path = tokensPath(directory);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const kept = readFileSync(path, "utf8");
  expect(kept).not.toContain(token.slice(4));
  expect(readTokens(directory)).toMatchObject([{ name: "alice", sha256: digestOf(token).toString("hex") }]);
  expect(addToken(directory, "bob")).not.toBe(token);
  expect(readdirSync(directory).sort()).toEqual(["tokens.json", "tokens.lock"]);
});

test("has one token for a name, until that is removed", () => {
  addToken(directory, "bob@example.com");
  addToken(directory, "alice");
  expect(names()).toEqual(["alice", "bob@example.com"]);
  expect(() => addToken(directory, "alice")).toThrow(expect.objectContaining({ reason: "TOKEN_EXISTS" }));
  removeToken(directory, "alice");
  expect(() => removeToken(directory, "alice")).toThrow(expect.objectContaining({ reason: "TOKEN_UNKNOWN" }));
  addToken(directory, "alice");
  expect(names()).toEqual(["alice", "bob@example.com"]);
});

const NO_NAMES = [
  "",
  " ",
  "a b",
  "a\nb",
  "\u001b[31mred",
  "a\u0000",
  "a\u202eb",
  "-x",
  ".",
  "../x",
  "a/b",
  "ä",
  "x".repeat(65),
];

test.each(NO_NAMES)("gives no token to %j", (name) => {
  expect(() => addToken(directory, name)).toThrow(expect.objectContaining({ reason: "TOKEN_NAME_INVALID" }));
  expect(names()).toEqual([]);
});

const kept = (name: string) => ({ name, sha256: "0".repeat(64), create_time: "2027-01-01T00:00:00Z" });

test.each([
  ["no JSON", "{"],
  ["another document", "[]"],
  ["a member that is unknown", JSON.stringify({ tokens: [], all: true })],
  ["a token in place of its hash", JSON.stringify({ tokens: [{ ...kept("a"), sha256: "secret" }] })],
  ["two of a name", JSON.stringify({ tokens: [kept("a"), kept("a")] })],
  ...NO_NAMES.map((name) => [`the name ${JSON.stringify(name)}`, JSON.stringify({ tokens: [kept(name)] })]),
] as [string, string][])("takes nothing from a file with %s", (_what, text) => {
  writeFileSync(tokensPath(directory), text, { mode: 0o600 });
  expect(() => readTokens(directory)).toThrow(expect.objectContaining({ reason: "TOKENS_INVALID" }));
});

test("takes nothing from a file that others can use, or that is somewhere else", () => {
  addToken(directory, "alice");
  const path = tokensPath(directory);
  chmodSync(path, 0o640);
  expect(() => readTokens(directory)).toThrow(expect.objectContaining({ reason: "TOKENS_INVALID" }));
  chmodSync(path, 0o600);
  expect(names()).toEqual(["alice"]);
  rmSync(path);
  symlinkSync(join(directory, "elsewhere.json"), path);
  writeFileSync(join(directory, "elsewhere.json"), JSON.stringify({ tokens: [kept("a")] }), { mode: 0o600 });
  expect(() => readTokens(directory)).toThrow("is a link");
});

test("is changed by one command at a time", () => {
  addToken(directory, "alice");
  using _other = ExclusiveLock.take(join(directory, "tokens.lock"))!;
  expect(() => removeToken(directory, "alice")).toThrow(expect.objectContaining({ reason: "TOKENS_BUSY" }));
  expect(names()).toEqual(["alice"]);
});
