import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { checkRequest } from "./checked-request.ts";
import { RequestChecks } from "./request-checks.ts";

const POLICY = { allowedModels: ["good-*"], allowedBetas: [], maxOutputTokens: 1000 };
const KIB = 1024;

function startChecks(): RequestChecks {
  const checks = new RequestChecks();
  onTestFinished(() => checks[Symbol.dispose]());
  return checks;
}

/** A body of about that size. */
function body(kib: number, members: string, text = "x"): Buffer {
  const padding = JSON.stringify(text.repeat(Math.ceil((kib * KIB) / Buffer.byteLength(text))));
  return Buffer.from(`{"messages":[{"role":"user","content":${padding}}],${members}}`);
}

const plain = (result: object) =>
  "content" in result ? { ...result, content: Buffer.from(result.content as Uint8Array).toString() } : result;

test.each([
  ["what may pass", '"model":"good-1","max_tokens":5,"stream":true'],
  ["two members of one name", '"model":"good-1","model":"good-2","max_tokens":1001,"max_tokens":7'],
  ["a second member that is refused", '"model":"good-1","model":"other"'],
  ["a name that is escaped", '"model":"good-1","\\u006dodel":"other"'],
  ["what it may not have", '"model":"good-1","mcp_servers":[]'],
  ["what is left out", '"model":"good-1","later":{"x":1},"__proto__":{"model":"other"}'],
  ["surrogates that stand alone", '"model":"good-1","metadata":{"user_id":"\\ud800"}'],
  ["too much for an answer", '"model":"good-1","max_tokens":1001'],
  ["numbers that are none", '"model":"good-1","max_tokens":1e400'],
  ["no JSON", '"model":"good-1",'],
])("says of a large body what it says of a small one: %s", async (_what, members) => {
  const checks = startChecks();
  for (const text of ["x", "ü\\u0000\u{1F600}\n"]) {
    const [small, large] = [body(1, members, text), body(300, members, text)];
    for (const each of [small, large]) {
      const expected = checkRequest(Buffer.from(each), POLICY);
      expect(plain(await checks.check(each, POLICY))).toEqual(plain(expected));
    }
  }
});

test.each([
  ["a mark of the byte order", Buffer.from([0xef, 0xbb, 0xbf])],
  ["bytes that are no UTF-8", Buffer.from([0xff])],
])("refuses %s in front of a large body", async (_what, bytes) => {
  const content = Buffer.concat([bytes, body(300, '"model":"good-1"')]);
  expect(await startChecks().check(content, POLICY)).toEqual({ refused: "the body is not a JSON object" });
});

test("passes on what it has read of bytes that are no UTF-8, and not the bytes", async () => {
  const content = body(300, '"model":"good-1"');
  content.fill(0xff, 100_000, 100_010);
  const checked = await startChecks().check(content, POLICY);
  if ("refused" in checked) throw new Error(checked.refused);
  expect(Buffer.from(checked.content).includes(0xff)).toBe(false);
  expect(Buffer.from(checked.content).toString()).toContain("x\ufffd\ufffd");
});

test("lets others have their turn while the largest body is checked", async () => {
  let over = false;
  const checked = startChecks()
    .check(body(30 * KIB, '"model":"good-1"', 'a \\"text\\" of lines\\n'), POLICY)
    .finally(() => (over = true));
  let turns = 0;
  for (; !over; turns++) await nextTurn();
  expect(await checked).toMatchObject({ model: "good-1" });
  expect(turns).toBeGreaterThan(50);
});

test("checks several at once, each for its own", async () => {
  const checks = startChecks();
  const models = Array.from({ length: 20 }, (_, index) => `good-${index}`);
  const checked = await Promise.all(models.map((model) => checks.check(body(200, `"model":"${model}"`), POLICY)));
  expect(checked.map((each) => "model" in each && each.model)).toEqual(models);
});

test("writes a request for another model, and leaves the one that it has", async () => {
  for (const kib of [1, 300]) {
    const content = body(kib, '"model":"good-1"');
    const other = await startChecks().withModel(content, "other");
    expect(JSON.parse(Buffer.from(other).toString())).toEqual({ ...JSON.parse(content.toString()), model: "other" });
  }
});

test("a thread that ends takes what it was given with it, and the next one goes on", async () => {
  const checks = startChecks();
  const lost = checks.check(body(20 * KIB, '"model":"good-1"'), POLICY);
  checks[Symbol.dispose]();
  await expect(lost).rejects.toThrow("has ended");
  expect(await checks.check(body(300, '"model":"good-1"'), POLICY)).toMatchObject({ model: "good-1" });
});
