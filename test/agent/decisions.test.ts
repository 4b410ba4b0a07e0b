import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AttachStart_Role as Role, Decider, QuestionAnswerSchema, Session_State as State } from "../../proto/index.ts";
import { type Attached, attach, kinds } from "./agent-rig.ts";
import { type LiveAgent, startLiveAgent } from "./live-agent.ts";

let live: LiveAgent;

beforeEach(async () => (live = await startLiveAgent()));
afterEach(() => live[Symbol.asyncDispose]());

const bash = (command: string) => ({ name: "Bash", input: { command, description: "Make a file" } });
const calls = (...list: { name: string; input: unknown }[]) => `[scenario: call-tools ${JSON.stringify(list)}]`;
const asking = { permissionMode: "default" };

function states({ events }: Attached): State[] {
  return events.flatMap(({ event }) => (event.case === "stateChanged" ? [event.value.state] : []));
}

test("waits for a permission, and goes on with it", async () => {
  await live.start(calls(bash("touch made.txt")), asking);
  await using owner = attach(live.connection);
  const asked = await owner.event("permissionRequested");
  expect(asked).toMatchObject({ toolName: "Bash", truncated: false, description: "Make a file" });
  expect(JSON.parse(asked.inputJson)).toMatchObject({ command: "touch made.txt" });
  const started = await owner.event("toolUseStarted");
  expect(asked.toolUseId).toBe(started.toolUseId);
  expect((await live.session()).state).toBe(State.WAITING);
  owner.send({ case: "permissionDecision", value: { requestId: asked.requestId, allow: true } });
  await owner.done;
  const { state, result } = await live.session();
  expect(state).toBe(State.SUCCEEDED);
  expect(result?.changes.map(({ path }) => path)).toEqual(["made.txt"]);
  expect(states(owner)).toEqual([State.PREPARING, State.RUNNING, State.WAITING, State.RUNNING, State.STOPPING]);
});

test("tells Claude why not, and Claude goes on", async () => {
  await live.start(calls(bash("touch made.txt")), asking);
  await using owner = attach(live.connection);
  await using controller = attach(live.connection, { role: Role.CONTROLLER });
  await using observer = attach(live.connection, { role: Role.OBSERVER });
  const { requestId } = await controller.event("permissionRequested");
  const deny = {
    case: "permissionDecision",
    value: { requestId, allow: false, message: "Not in this house." },
  } as const;
  observer.send(deny);
  await expect.poll(() => observer.refusals).toEqual(["ROLE_INSUFFICIENT"]);
  controller.send({ case: "permissionDecision", value: { requestId: "other", allow: true } });
  controller.send(deny);
  controller.send({ ...deny, value: { ...deny.value, allow: true } });
  await expect.poll(() => controller.refusals).toEqual(["DECISION_UNKNOWN", "DECISION_MADE"]);
  expect(await owner.event("permissionDecided")).toMatchObject({ allowed: false, decider: Decider.CALLER });
  expect(await owner.event("toolUseFinished")).toMatchObject({ failed: true, output: "Not in this house." });
  await owner.done;
  expect(await live.session()).toMatchObject({ state: State.SUCCEEDED, result: { changeCount: 0 } });
});

test("denies what nobody decides, and the session goes on", async () => {
  await live.start(calls(bash("touch made.txt")), { ...asking, decisionTimeout: durationFromMs(1000) });
  await using owner = attach(live.connection);
  expect(await owner.event("permissionDecided")).toMatchObject({ allowed: false, decider: Decider.TIMEOUT });
  await owner.done;
  const { state, result } = await live.session();
  expect(state).toBe(State.SUCCEEDED);
  expect(result?.finalText).toContain("Nobody decided within 1 s");
});

test("passes questions on, and their answers back, also where Claude may do everything", async () => {
  const options = ["red", "blue"].map((label) => ({ label, description: `Use ${label}` }));
  const questions = [
    { question: "Which color?", header: "Color", options, multiSelect: false },
    { question: "Which others?", header: "Others", options, multiSelect: true },
  ];
  await live.start(calls({ name: "AskUserQuestion", input: { questions } }));
  await using owner = attach(live.connection);
  const asked = await owner.event("questionAsked");
  expect(asked.questions).toMatchObject(questions);
  const answers = [["green"], ["red", "blue"]].map((values) => create(QuestionAnswerSchema, { values }));
  owner.send({ case: "answer", value: { requestId: asked.requestId, answers: answers.slice(1) } });
  owner.send({ case: "answer", value: { requestId: asked.requestId, answers } });
  expect(await owner.event("questionAnswered")).toMatchObject({ answers, decider: Decider.CALLER });
  await owner.done;
  expect(owner.refusals).toEqual(["ANSWER_INVALID"]);
  const { state, result } = await live.session();
  expect(state).toBe(State.SUCCEEDED);
  expect(result?.finalText).toMatch(/Which color\?.*green/);
  expect(result?.finalText).toMatch(/Which others\?.*red, blue/);
});

test("leaves a question that nobody answers to Claude", async () => {
  await live.start("[scenario: ask-question]", { decisionTimeout: durationFromMs(1000) });
  await using owner = attach(live.connection);
  expect(await owner.event("questionAnswered")).toMatchObject({ answers: [], decider: Decider.TIMEOUT });
  await owner.done;
  const { state, result } = await live.session();
  expect(state).toBe(State.SUCCEEDED);
  expect(result?.finalText).toContain("Nobody answered within 1 s. Decide yourself");
});

test("asks nobody where nobody is there to be asked", async () => {
  await live.start(calls(bash("touch made.txt")), { ...asking, decisionTimeout: durationFromMs(0) });
  await using owner = attach(live.connection);
  await owner.done;
  expect(kinds(owner.events)).not.toContain("permissionRequested");
  expect((await owner.event("claudeReady")).tools).not.toContain("AskUserQuestion");
  expect(await live.session()).toMatchObject({ state: State.SUCCEEDED, result: { changeCount: 0 } });
});

test("an interrupt ends the waiting, and leaves the session usable", async () => {
  await live.start("[scenario: ask-question]", { idleTimeout: durationFromMs(30_000) });
  await using owner = attach(live.connection);
  const { requestId } = await owner.event("questionAsked");
  owner.send({ case: "interrupt", value: {} });
  expect(await owner.event("questionAnswered")).toMatchObject({ requestId, answers: [], decider: Decider.END });
  expect(await owner.event("turnFinished")).toMatchObject({ interrupted: true });
  await owner.event("stateChanged", ({ state }) => state === State.IDLE);
  owner.send({ case: "answer", value: { requestId, answers: [{ values: ["Hello"] }] } });
  await expect.poll(() => owner.refusals).toEqual(["DECISION_MADE"]);
  owner.send({ case: "userMessage", value: { text: "[scenario: small-edit] after all" } });
  expect(await owner.event("turnFinished", ({ turn }) => turn === 2)).toMatchObject({ interrupted: false });
});

test("a stop does not wait for anybody's decision", async () => {
  await live.start(calls(bash("touch made.txt")), asking);
  await using owner = attach(live.connection);
  await owner.event("permissionRequested");
  const start = Date.now();
  owner.send({ case: "stop", value: { reason: "enough" } });
  await owner.done;
  expect(Date.now() - start).toBeLessThan(10_000);
  const order = kinds(owner.events)
    .split(" ")
    .filter((kind) => /^(permission|turn|session)/.test(kind));
  expect(order).toEqual([
    ...["sessionStarted", "turnStarted", "permissionRequested", "permissionDecided"],
    ...["turnFinished", "sessionFinished"],
  ]);
  expect(await live.session()).toMatchObject({ state: State.CANCELED });
});

test("plans only where that is the mode, and asks whether the plan is good", async () => {
  await live.start(calls({ name: "ExitPlanMode", input: {} }), { permissionMode: "plan" });
  await using owner = attach(live.connection);
  expect((await owner.event("claudeReady")).tools).toContain("ExitPlanMode");
  const { requestId, toolName } = await owner.event("permissionRequested");
  expect(toolName).toBe("ExitPlanMode");
  owner.send({ case: "permissionDecision", value: { requestId, allow: true } });
  await owner.done;
  await using other = await startLiveAgent();
  await other.start("[scenario: small-edit] x");
  await using second = attach(other.connection);
  const { tools } = await second.event("claudeReady");
  expect(tools).toContain("AskUserQuestion");
  expect(tools).not.toContain("EnterPlanMode");
  await second.done;
});
