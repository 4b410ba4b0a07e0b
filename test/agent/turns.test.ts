import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type EventBody, Phase, Session_State as State } from "../../proto/index.ts";
import { type Attached, attach, kinds } from "./agent-rig.ts";
import { type LiveAgent, startLiveAgent } from "./live-agent.ts";

let live: LiveAgent;

beforeEach(async () => (live = await startLiveAgent()));
afterEach(() => live[Symbol.asyncDispose]());

const patient = { idleTimeout: durationFromMs(30_000) };

function say(attached: Attached, text: string, messageId = ""): void {
  attached.send({ case: "userMessage", value: { text, messageId } });
}

function all<C extends EventBody["case"]>({ events }: Attached, kind: C): Extract<EventBody, { case: C }>["value"][] {
  return events.flatMap(({ event }) => (event.case === kind ? [event.value as never] : []));
}

test("a message in the middle of a turn waits for its end, is told, and counts once", async () => {
  await live.start("[scenario: slow-stream seconds=2] one", { maxTurnCount: 3 });
  await using owner = attach(live.connection);
  await owner.event("phaseChanged", ({ phase }) => phase === Phase.WORK);
  say(owner, "[scenario: small-edit] two", "m2");
  say(owner, "[scenario: small-edit] two", "m2");
  say(owner, "[scenario: small-edit] three", "m3");
  await owner.done;
  expect(all(owner, "messageQueued")).toMatchObject([
    { messageId: "m2", waitingCount: 1 },
    { messageId: "m3", waitingCount: 2 },
  ]);
  const order = kinds(owner.events)
    .split(" ")
    .filter((kind) => /^(message|turn)/.test(kind));
  expect(order).toEqual([
    ...["turnStarted", "messageQueued", "messageQueued", "turnFinished"],
    ...["turnStarted", "turnFinished", "turnStarted", "turnFinished"],
  ]);
  expect(all(owner, "turnStarted").map(({ messageId }) => messageId)).toEqual(["", "m2", "m3"]);
  // All in one conversation.
  expect(new Set(all(owner, "claudeReady").map(({ conversationId }) => conversationId)).size).toBe(1);
  expect(await live.session()).toMatchObject({ state: State.SUCCEEDED, turnCount: 3, result: { changeCount: 1 } });
});

test("an interrupt in the middle of a command leaves the session idle, and the conversation goes on", async () => {
  await live.start("[scenario: long-run seconds=60 steps=60]", patient);
  await using owner = attach(live.connection);
  await owner.event("toolUseStarted");
  owner.send({ case: "interrupt", value: {} });
  expect(await owner.event("turnFinished")).toMatchObject({ turn: 1, interrupted: true });
  await owner.event("stateChanged", ({ state }) => state === State.IDLE);
  // Nothing runs: nothing is interrupted.
  owner.send({ case: "interrupt", value: {} });
  say(owner, "[scenario: small-edit] after all");
  const second = await owner.event("turnFinished", ({ turn }) => turn === 2);
  expect(second).toMatchObject({ interrupted: false, text: "Added a line to NOTES.md: - after all" });
  expect(all(owner, "messageQueued")).toEqual([]);
  expect(new Set(all(owner, "claudeReady").map(({ conversationId }) => conversationId)).size).toBe(1);
  const { messages } = live.model.requests.at(-1)!.body as { messages: unknown[] };
  expect(JSON.stringify(messages)).toContain("long-run");
});

test("an interrupt ends one turn, and what waits comes next", async () => {
  await live.start("[scenario: slow-stream seconds=60]");
  await using owner = attach(live.connection);
  await owner.event("phaseChanged", ({ phase }) => phase === Phase.WORK);
  say(owner, "[scenario: small-edit] two", "m2");
  owner.send({ case: "interrupt", value: {} });
  await owner.done;
  expect(all(owner, "turnFinished").map(({ interrupted }) => interrupted)).toEqual([true, false]);
  expect(await live.session()).toMatchObject({ state: State.SUCCEEDED, result: { changeCount: 1 } });
});

test("finishes after the last turn that it may take, and takes no message for another", async () => {
  await live.start("[scenario: slow-stream seconds=1] one", { ...patient, maxTurnCount: 2 });
  await using owner = attach(live.connection);
  say(owner, "[scenario: small-edit] two", "m2");
  say(owner, "[scenario: small-edit] three", "m3");
  await owner.done;
  expect(owner.refusals).toEqual(["TURN_LIMIT_REACHED"]);
  expect(await live.session()).toMatchObject({ state: State.SUCCEEDED, turnCount: 2 });
});

test("limits the steps of each turn, not of all of them", async () => {
  await live.start("[scenario: small-edit] one", { maxStepCount: 3 });
  await using owner = attach(live.connection);
  say(owner, "[scenario: small-edit] two");
  await owner.done;
  expect(all(owner, "turnFinished").map(({ failure }) => failure?.reason)).toEqual([undefined, undefined]);
  expect((await live.session()).result?.usage?.stepCount).toBe(6);
});

/** What people have said so far, as the model was asked last; and what Claude Code has put around it. */
function lastAsked(): { said: string[]; reminders: string[] } {
  const { messages } = live.model.requests.at(-1)!.body as {
    messages: { role: string; content: string | { text?: string }[] }[];
  };
  const texts = messages
    .filter(({ role }) => role === "user")
    .flatMap(({ content }) => (typeof content === "string" ? content : content.map(({ text = "" }) => text)))
    .filter((text) => text !== "");
  const isReminder = (text: string) => text.startsWith("<system-reminder>");
  return { said: texts.filter((text) => !isReminder(text)), reminders: texts.filter(isReminder) };
}

test("a task and a message are text, whatever they begin with or name", async () => {
  const texts = [
    "/cost",
    "/clear",
    "/model opus",
    "/init",
    "/etc/hosts names whom?",
    "# Remember this",
    "!ls",
    "@NOTES.md says what?",
    "Ultrathink about @NOTES.md",
    "  /cost\n",
  ];
  await live.start(texts[0]!, patient);
  await using owner = attach(live.connection);
  for (const [index, text] of texts.entries()) {
    if (index > 0) say(owner, text);
    const { failure } = await owner.event("turnFinished", ({ turn }) => turn === index + 1);
    expect(failure).toBeUndefined();
    const { said, reminders } = lastAsked();
    expect(said).toEqual(texts.slice(0, index + 1));
    expect(reminders.join("\n")).not.toMatch(/Called the Read tool|ultrathink/i);
  }
});
