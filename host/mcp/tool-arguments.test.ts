import { expect, test } from "vitest";
import * as z from "zod";
import { spawnInputSchema } from "./spawn-input.ts";
import { toolArguments } from "./tool-arguments.ts";

const answers = { answers: z.array(z.array(z.string()).min(1)).min(1) };
const schema = toolArguments({ ...spawnInputSchema.shape, wait: z.boolean().optional() });

async function take(value: unknown, taken: { "~standard": (typeof schema)["~standard"] } = schema): Promise<unknown> {
  const result = await taken["~standard"].validate(value);
  return result.issues === undefined
    ? result.value
    : result.issues.map(({ path = [], message }) => `${path.map(String).join(".")}: ${message}`);
}

test("refuses what it does not know, and names what is", async () => {
  expect(await take({ task: "x", repo: "y", zzz: 1 })).toEqual([
    expect.stringMatching(
      /^: There is no argument "repo"\. Did you mean repository\? There is no argument "zzz"\. Known are task, repository, .*\. Right would be: \{"task":"x"\}$/,
    ),
  ]);
});

test.each([
  [{ timeout_seconds: "30" }, { timeout_seconds: 30 }],
  [{ cpus: " 1.5 " }, { cpus: 1.5 }],
  [{ wait: "false" }, { wait: false }],
  [{ wait: "True" }, { wait: true }],
  [{ history: "5" }, { history: 5 }],
  [{ history: "all" }, { history: "all" }],
  [{ model: null, ref: "", wait: null, include: null }, {}],
  [{ include: '["a b", ".env"]' }, { include: ["a b", ".env"] }],
  [{ include: ".env" }, { include: [".env"] }],
  [{ include: "" }, {}],
  [{ environment: '{"A":"1"}' }, { environment: { A: "1" } }],
  [{ environment: { PORT: 8080, CI: true, EMPTY: "" } }, { environment: { PORT: "8080", CI: "true", EMPTY: "" } }],
  [{ ref: 123 }, { ref: "123" }],
])("takes %j as it was meant", async (given, meant) => {
  expect(await take({ task: "x", ...given })).toEqual({ task: "x", ...meant });
});

test.each([
  ["a", [["a"]]],
  [["a, b"], [["a, b"]]],
  ['[["a"],["b","c"]]', [["a"], ["b", "c"]]],
])("takes the answers %j as they were meant", async (given, meant) => {
  expect(await take({ answers: given }, toolArguments(answers) as never)).toEqual({ answers: meant });
});

test.each([
  [{ timeout_seconds: "soon" }, /^timeout_seconds: .*expected number, received string\. When it is over Claude/],
  [{ timeout_seconds: "" + Number.NaN }, /^timeout_seconds: /],
  [{ include: "a, b" }, /^include: .*expected array.*by their exact paths/],
  [{ environment: "A=1" }, /^environment: .*Never for secrets/],
  [{ permission_mode: "yolo" }, /^permission_mode: .*bypassPermissions/],
  [{ history: "some" }, /^history: .*"all"/],
  [{ ref: 1.1 }, /^ref: /],
  [{ task: null }, /^task: .*expected string, received null/],
])("refuses %j by its name and says what it takes", async (given, message) => {
  const [first] = (await take({ task: "x", ...given })) as string[];
  expect(first).toMatch(message);
});

test("says which required one is missing", async () => {
  expect(await take({})).toEqual([expect.stringMatching(/^task: is missing\. What the Claude in the container/)]);
});

test("tells clients what the schema says, in no dialect of its own", () => {
  const json = schema["~standard"].jsonSchema.input({ target: "draft-2020-12" });
  const { $schema: _, ...said } = z.toJSONSchema(
    z.strictObject({ ...spawnInputSchema.shape, wait: z.boolean().optional() }),
    { io: "input" },
  );
  expect(json).toEqual(said);
});
