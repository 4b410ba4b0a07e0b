import { describe, expect, it } from "vitest";
import { CATALOG } from "../catalog.ts";
import { converse, type WireMessage } from "../converse.ts";
import type { Turn } from "../scenario.ts";
import { startScriptedModel } from "../scripted-model.ts";

const TURN: Turn = {
  text: "do it",
  workingDirectory: "/workspace",
  tools: ["Bash", "Edit", "Read", "Write"],
  calls: [],
  earlierResults: [],
  json: undefined,
};

async function calls(
  task: string,
  run: (name: string, input: unknown) => string | Error = () => "ok",
  tools?: readonly string[],
): Promise<unknown[]> {
  await using model = await startScriptedModel();
  const messages = await converse({ url: model.url, task, run, ...(tools !== undefined && { tools }) });
  return messages.flatMap(toolInputs);
}

function toolInputs({ role, content }: WireMessage): unknown[] {
  if (role !== "assistant" || typeof content === "string") return [];
  return content.filter(({ type }) => type === "tool_use").map(({ name, input }) => [name, input]);
}

describe("every scenario", () => {
  it("has a name of its own and says what it does", () => {
    expect(new Set(CATALOG.map(({ name }) => name)).size).toBe(CATALOG.length);
    expect(CATALOG.every(({ summary }) => summary.endsWith("."))).toBe(true);
  });

  it("plans the same steps for the same turn", () => {
    for (const scenario of CATALOG.filter(({ name }) => !["call-tools", "spawn-child"].includes(name))) {
      expect(scenario.plan(undefined, TURN)).toEqual(scenario.plan(undefined, TURN));
      expect(scenario.plan(undefined, TURN).length).toBeGreaterThan(0);
    }
  });
});

describe("small-edit", () => {
  it("starts the notes when there are none", async () => {
    expect(await calls("be kind", (name) => (name === "Read" ? new Error("no such file") : "ok"))).toContainEqual([
      "Write",
      { file_path: "NOTES.md", content: "# Notes\n\n- be kind\n" },
    ]);
  });

  it("adds a line after the last one that is unique", async () => {
    const notes = "1\t# Notes\n2\t\n3\t- a\n4\t- b\n5\t- b\n6\t";
    expect(await calls("be kind", () => notes)).toContainEqual([
      "Edit",
      { file_path: "NOTES.md", old_string: "- a", new_string: "- a\n- be kind" },
    ]);
  });
});

describe("long-run", () => {
  it("divides its time among streams and commands", () => {
    const longRun = CATALOG.find(({ name }) => name === "long-run");
    const steps = longRun?.plan(
      {
        name: "long-run",
        parameters: new Map([
          ["seconds", "20"],
          ["steps", "10"],
        ]),
        json: undefined,
      },
      TURN,
    );
    expect(steps).toHaveLength(11);
    expect(JSON.stringify(steps?.[0])).toContain("timeout 1.00 tail -f /dev/null");
  });
});

describe("call-tools", () => {
  const list = (...names: string[]): string =>
    JSON.stringify(names.map((name) => ({ name, input: { id: "{{session}}" } })));

  it("loads deferred tools first, all at once", async () => {
    const made = await calls(`[scenario: call-tools ${list("mcp__a__x", "Read", "mcp__a__y")}]`, undefined, [
      "ToolSearch",
      "Read",
    ]);
    expect(made.map((call) => (call as [string])[0])).toEqual(["ToolSearch", "mcp__a__x", "Read", "mcp__a__y"]);
    expect(made[0]).toEqual(["ToolSearch", { query: "select:mcp__a__x,mcp__a__y", max_results: 10 }]);
  });

  it("fills in the newest session id of the results so far", async () => {
    const ids = ["ses_01JD0000000000000000000001", "ses_01JD0000000000000000000002"];
    const made = await calls(`[scenario: call-tools ${list("a", "b", "c")}]`, () => `it is ${ids.shift() ?? ""}`);
    expect(made.map((call) => (call as [string, { id: string }])[1].id)).toEqual([
      "{{session}}",
      "ses_01JD0000000000000000000001",
      "ses_01JD0000000000000000000002",
    ]);
  });

  it("calls several tools with one message, and fills in the session that each of an earlier one has named", async () => {
    const ids = ["ses_01JD0000000000000000000001", "ses_01JD0000000000000000000002"];
    const starts = [{ name: "start" }, { name: "start" }];
    const waits = [1, 2].map((number) => ({ name: "wait", input: { id: `{{session ${number}}}` } }));
    const task = `[scenario: call-tools ${JSON.stringify([starts, waits])}]`;
    await using model = await startScriptedModel();
    const messages = await converse({ url: model.url, task, run: () => `it is ${ids.shift() ?? ""}` });
    expect(messages.map(toolInputs).filter((made) => made.length > 0)).toEqual([
      [
        ["start", {}],
        ["start", {}],
      ],
      [
        ["wait", { id: "ses_01JD0000000000000000000001" }],
        ["wait", { id: "ses_01JD0000000000000000000002" }],
      ],
    ]);
  });

  it("finds the spawn tool under a plugin's name", async () => {
    const tool = "mcp__plugin_claudecluster_claudecluster__spawn_claude_container";
    expect(await calls('[scenario: spawn-child {"task":"x"}]', undefined, [tool])).toEqual([[tool, { task: "x" }]]);
  });
});
