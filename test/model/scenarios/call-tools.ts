import * as z from "zod";
import { MarkerError } from "../marker.ts";
import { call, defineScenario, say, type Step, type Turn } from "../scenario.ts";

const toolCall = z.object({ name: z.string(), input: z.record(z.string(), z.unknown()).default({}) });
const listed = z.array(z.union([toolCall, z.array(toolCall).min(1)]));

/** The calls of one message. */
type Together = readonly z.infer<typeof toolCall>[];

export const callTools = defineScenario({
  name: "call-tools",
  summary:
    'Calls the tools listed as JSON, [{"name": "…", "input": {…}}, …], one per step (those of a list in the list in one), then reports the last result. {{session}} and {{result}} in an input stand for the newest session id in the results so far and the newest result, {{session 1}} for the first session id, {{task}} for the newest background task of Claude Code.',
  steps: (_, turn) => {
    const parsed = listed.safeParse(turn.json);
    if (!parsed.success)
      throw new MarkerError(
        `Scenario "call-tools" needs a JSON list of {"name", "input"}: ${parsed.error.issues[0]?.message ?? ""}`,
      );
    const steps = parsed.data.map((step) => (Array.isArray(step) ? step : [step]));
    return [...callSteps(steps, turn), report(turn)];
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
    return [...callSteps([[{ name, input: input.data }]], turn), report(turn)];
  },
});

export const askQuestion = defineScenario({
  name: "ask-question",
  summary: "Asks the user a question with two options (AskUserQuestion), then reports the answer.",
  parameters: { question: "Which greeting shall I use?", first: "Hello", second: "Bonjour" },
  steps: ({ question, first, second }, turn) => {
    const options = [first, second].map((label) => ({ label, description: `Use ${label}` }));
    const input = { questions: [{ question, header: "Greeting", options, multiSelect: false }] };
    return [...callSteps([[{ name: "AskUserQuestion", input }]], turn), report(turn)];
  },
});

/** The calls, before them ToolSearch for those that Claude Code has deferred: it refuses a tool whose schema was not loaded. */
function callSteps(messages: readonly Together[], turn: Turn): readonly Step[] {
  const calls = messages.flat();
  const searched = turn.calls.some((done) => done.name === "ToolSearch");
  const maySearch = turn.calls.every((done) => done.name === WAIT) && turn.tools.includes("ToolSearch");
  const deferred = maySearch ? calls.map(({ name }) => name).filter((name) => !turn.tools.includes(name)) : [];
  const search = call("I'll load the tools I need.", [
    "ToolSearch",
    { query: `select:${[...new Set(deferred)].join(",")}`, max_results: 10 },
  ]);
  const steps = messages.map((together) =>
    call(
      `Calling ${together.map(({ name }) => name).join(", ")}.`,
      ...together.map(({ name, input }) => [name, fill(input, turn)] as const),
    ),
  );
  const found = searched || deferred.length > 0 ? [search, ...steps] : steps;
  // An older Claude Code offers it where servers have not connected when the first turn begins.
  const waited =
    turn.calls.some((done) => done.name === WAIT) || (turn.calls.length === 0 && turn.tools.includes(WAIT));
  return waited ? [call("I'll wait for the servers.", [WAIT, {}]), ...found] : found;
}

function report(turn: Turn): Step {
  return say(`The result is:\n${turn.calls.at(-1)?.result?.text ?? "(none)"}`);
}

const WAIT = "WaitForMcpServers";
const SESSION_ID = /ses_[0-9A-HJKMNP-TV-Z]{26}/gi;
const TASK_ID = /\btask_id "(\w+)"/;

function fill(input: Readonly<Record<string, unknown>>, turn: Turn): unknown {
  const results = [...turn.earlierResults, ...turn.calls.map((done) => done.result?.text ?? "")];
  const sessions = results.flatMap((text) => text.match(SESSION_ID) ?? []);
  const distinct = [...new Set(sessions)];
  return replaceIn(
    input,
    new Map([
      ["{{session}}", sessions.at(-1) ?? "{{session}}"],
      ...distinct.map((session, index) => [`{{session ${index + 1}}}`, session] as const),
      ["{{task}}", results.flatMap((text) => TASK_ID.exec(text)?.[1] ?? []).at(-1) ?? "{{task}}"],
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
