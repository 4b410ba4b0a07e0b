import { z } from "zod";
import { MarkerError } from "../marker.ts";
import { call, defineScenario, say, type Step, type Turn } from "../scenario.ts";

const listed = z.array(z.object({ name: z.string(), input: z.record(z.string(), z.unknown()).default({}) }));

export const callTools = defineScenario({
  name: "call-tools",
  summary:
    'Calls the tools listed as JSON, [{"name": "…", "input": {…}}, …], one per step, then reports the last result. {{session}} and {{result}} in an input stand for the newest session id in the results so far and the newest result.',
  steps: (_, turn) => {
    const parsed = listed.safeParse(turn.json);
    if (!parsed.success)
      throw new MarkerError(
        `Scenario "call-tools" needs a JSON list of {"name", "input"}: ${parsed.error.issues[0]?.message ?? ""}`,
      );
    return [...callSteps(parsed.data, turn), report(turn)];
  },
});

export const spawnChild = defineScenario({
  name: "spawn-child",
  summary:
    "Calls the spawn tool with the marker's JSON as its input, then reports the tool's result text. `tool` names another tool.",
  parameters: { tool: "" },
  steps: ({ tool }, turn) => {
    const input = z.record(z.string(), z.unknown()).safeParse(turn.json);
    if (!input.success)
      throw new MarkerError(
        'Scenario "spawn-child" needs the input of the tool as JSON: [scenario: spawn-child {"task": "…"}]',
      );
    const name =
      tool ||
      (turn.tools.find((known) => known.endsWith("__spawn_claude_container")) ??
        "mcp__claudecluster__spawn_claude_container");
    return [...callSteps([{ name, input: input.data }], turn), report(turn)];
  },
});

export const askQuestion = defineScenario({
  name: "ask-question",
  summary: "Asks the user a question with two options (AskUserQuestion), then reports the answer.",
  parameters: { question: "Which greeting shall I use?", first: "Hello", second: "Bonjour" },
  steps: ({ question, first, second }, turn) => {
    const options = [first, second].map((label) => ({ label, description: `Use ${label}` }));
    const input = { questions: [{ question, header: "Greeting", options, multiSelect: false }] };
    return [...callSteps([{ name: "AskUserQuestion", input }], turn), report(turn)];
  },
});

/** The calls, before them ToolSearch for those that Claude Code has deferred: it refuses a tool whose schema was not loaded. */
function callSteps(calls: z.infer<typeof listed>, turn: Turn): readonly Step[] {
  const searched = turn.calls.some((done) => done.name === "ToolSearch");
  const maySearch = turn.calls.length === 0 && turn.tools.includes("ToolSearch");
  const deferred = maySearch ? calls.map(({ name }) => name).filter((name) => !turn.tools.includes(name)) : [];
  const search = call("I'll load the tools I need.", [
    "ToolSearch",
    { query: `select:${[...new Set(deferred)].join(",")}`, max_results: 10 },
  ]);
  const steps = calls.map(({ name, input }) => call(`Calling ${name}.`, [name, fill(input, turn)]));
  return searched || deferred.length > 0 ? [search, ...steps] : steps;
}

function report(turn: Turn): Step {
  return say(`The result is:\n${turn.calls.at(-1)?.result?.text ?? "(none)"}`);
}

const SESSION_ID = /ses_[0-9A-HJKMNP-TV-Z]{26}/gi;

function fill(input: Readonly<Record<string, unknown>>, turn: Turn): unknown {
  const results = [...turn.earlierResults, ...turn.calls.map((done) => done.result?.text ?? "")];
  const session = results.flatMap((text) => text.match(SESSION_ID) ?? []).at(-1) ?? "{{session}}";
  return replaceIn(
    input,
    new Map([
      ["{{session}}", session],
      ["{{result}}", results.at(-1) ?? ""],
    ]),
  );
}

function replaceIn(value: unknown, replacements: ReadonlyMap<string, string>): unknown {
  if (typeof value === "string")
    return [...replacements].reduce((text, [name, replacement]) => text.replaceAll(name, () => replacement), value);
  if (Array.isArray(value)) return value.map((item) => replaceIn(item, replacements));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, replaceIn(item, replacements)]));
}
