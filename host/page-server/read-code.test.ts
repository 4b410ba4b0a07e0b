import { PassThrough, Readable } from "node:stream";
import { expect, test } from "vitest";
import { readCode } from "./read-code.ts";

test.each(["", "{", "null", "[]", "7", '"x"', '{"code":7}', '{"Code":"x"}'])("%j is no code", async (body) => {
  expect(await readCode(Readable.from([Buffer.from(body)]))).toBe("");
});

test("a code is read, and who does not send it is cut", async () => {
  expect(await readCode(Readable.from([Buffer.from('{"code":'), Buffer.from('"x"}')]))).toBe("x");
  const slow = new PassThrough();
  slow.write('{"code":');
  await expect(readCode(slow, { withinMs: 20 })).rejects.toThrow();
  expect(slow.destroyed).toBe(true);
});
