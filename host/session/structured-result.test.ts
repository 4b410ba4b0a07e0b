import { expect, test } from "vitest";
import { checkSchema, findSchemaMismatch } from "./structured-result.ts";

const SCHEMA = JSON.stringify({
  $schema: "http://json-schema.org/draft-07/schema#",
  type: "object",
  properties: { count: { type: "integer", minimum: 0 }, name: { type: "string", pattern: "^(a+)+$" } },
  required: ["count"],
  additionalProperties: false,
});

async function mismatchOf(finalText: string, finalTextTruncated = false): Promise<string | undefined> {
  return (await findSchemaMismatch({ finalText, finalTextTruncated }, SCHEMA))?.metadata["mismatch"];
}

test("takes a result that has its schema, and names what another one lacks", async () => {
  expect(await mismatchOf('{"count":3,"name":"aaa"}')).toBe(undefined);
  expect(await mismatchOf('{"count":-1}')).toBe("/count must be >= 0");
  expect(await mismatchOf("{}")).toBe("the result must have required property 'count'");
  expect(await mismatchOf('{"count":1,"more":1}')).toBe("the result must NOT have additional properties");
  expect(await mismatchOf("I could not do it.")).toBe("it is no JSON");
  expect(await mismatchOf("")).toBe("it is no JSON");
  expect(await mismatchOf('{"count":3}', true)).toBe("it is longer than what is kept");
});

test("a text for which a pattern takes for ever does not hold up the host", async () => {
  const begunMs = performance.now();
  expect(await mismatchOf(JSON.stringify({ count: 1, name: `${"a".repeat(40)}!` }))).toBe(
    "it cannot be checked in a second",
  );
  expect(performance.now() - begunMs).toBeLessThan(5000);
});

test.each([
  ["no JSON", "{", /no JSON object/],
  ["a list", "[]", /no JSON object/],
  ["no object", '{"type":"string"}', /type has to be "object"/],
  ["an unknown type", '{"type":"object","properties":{"a":{"type":"text"}}}', /properties\/a\/type/],
  ["something elsewhere", '{"type":"object","$ref":"https://example.com/x.json"}', /can't resolve reference/],
  ["too much", JSON.stringify({ type: "object", description: "x".repeat(70_000) }), /65536 bytes/],
])("refuses a schema that is %s", async (_, schema, why) => {
  await expect(checkSchema(schema)).rejects.toMatchObject({
    reason: "SCHEMA_INVALID",
    message: expect.stringMatching(why) as string,
  });
});
