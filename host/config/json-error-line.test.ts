import { expect, test } from "vitest";
import { jsonErrorLine } from "./json-error-line.ts";

test.each([
  ["nothing", "", 1],
  ["a comma that is missing", '{"a": 1,\n"b": [true, null, -1.5e3]\n"c": {}}', 3],
  ["a comma too many", '{\n"a": [],\n}', 3],
  ["a word without quotes", '{"a": 1,\n "b": word}', 2],
  ["quotes that do not close", '{\n"a": "b\n}', 2],
  ["a comment", '{\n\n// why\n"a": 1}', 3],
  ["an end that is missing", '{"a": 1,\n"b": {"c": "\\u00e9"}\n', 3],
  ["something behind the end", '{"a": 1}\n{}', 2],
  ["a colon that is missing", '{"a"\n1}', 2],
])("finds the line of %s", (_name, text, line) => {
  expect(() => JSON.parse(text) as unknown).toThrow(SyntaxError);
  expect(jsonErrorLine(text)).toBe(line);
});
