import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Artifact_Kind, Decider, type SessionResult, Session_State as State } from "../../proto/index.ts";
import { readArtifact } from "../../test/agent/artifacts.ts";
import { type AgentRig, attach, type Attached, type Connection, kinds, startRig } from "../../test/agent/agent-rig.ts";

const claudeCommand = fileURLToPath(new URL("../../test/support/fake-claude.mjs", import.meta.url));

let rig: AgentRig;
let connection: Connection;

beforeEach(async () => {
  const timeouts = {
    interruptMs: 500,
    exitMs: 500,
    terminateMs: 500,
    pipesMs: 200,
    shutdownClaudeMs: 1000,
    drainMs: 200,
  };
  rig = await startRig({ config: { claudeCommand }, timeouts });
  connection = rig.connect();
});

afterEach(async () => {
  await rig[Symbol.asyncDispose]();
});

type Action = [name: string, value?: unknown];

/** Starts a session with a fake Claude that does these things in its first turn. */
async function start(actions: Action[], { behavior = "", idleMs = 0 } = {}): Promise<void> {
  const environment = { FAKE_CLAUDE: behavior };
  const spec = { task: JSON.stringify(actions), environment, idleTimeout: durationFromMs(idleMs) };
  await connection.client.startSession({ sessionId: "ses_1", spec });
}

async function finished(attached?: Attached): Promise<{ state: State; result: SessionResult }> {
  await using owner = attached ?? attach(connection);
  await owner.done;
  const { session } = await connection.client.getSession({});
  return { state: session!.state, result: session!.result! };
}

test("collects the changes of a Claude that had to be killed", async () => {
  await start(
    [
      ["file", { path: "a.txt", text: "a\n" }],
      ["line", "{}"],
    ],
    { behavior: "stubborn" },
  );
  await using owner = attach(connection);
  await owner.event("unrecognizedLine");
  owner.send({ case: "stop", value: { reason: "enough" } });
  const { state, result } = await finished(owner);
  expect(state).toBe(State.CANCELED);
  expect(result).toMatchObject({ changeCount: 1, processExit: { signal: "SIGKILL", canceled: true } });
});

test("a shutdown keeps time for the changes, whatever Claude does", async () => {
  await start(
    [
      ["file", { path: "a.txt", text: "a\n" }],
      ["line", "{}"],
    ],
    { behavior: "stubborn" },
  );
  await using owner = attach(connection);
  await owner.event("unrecognizedLine");
  await rig.agent.close();
  await owner.done;
  const { event } = owner.events.at(-1)!;
  expect(event.value).toMatchObject({
    state: State.CANCELED,
    result: { changeCount: 1, patchTruncated: false, outcome: { case: "cancellation" } },
  });
});

test("an agent that is killed ends its session at once, and says what is missing", async () => {
  await start([["line", "{}"]], { behavior: "stubborn" });
  await using owner = attach(connection);
  await owner.event("unrecognizedLine");
  rig.agent.kill();
  await rig.agent.exited;
  await owner.done;
  expect(owner.events.at(-1)!.event.value).toMatchObject({
    state: State.CANCELED,
    result: { patchTruncated: true, patchFailure: { reason: "COLLECT_FAILED" } },
  });
});

test("a Claude that goes while it waits for a decision leaves nothing waiting", async () => {
  const request = { subtype: "can_use_tool", tool_name: "Bash", input: { command: "ls" } };
  await start([
    ["line", { type: "control_request", request_id: "r1", request }],
    ["exit", 1],
  ]);
  await using owner = attach(connection);
  const { state } = await finished(owner);
  expect(state).toBe(State.FAILED);
  const order = kinds(owner.events).split(" ");
  expect(order.filter((kind) => /^(permission|turn)/.test(kind))).toEqual([
    ...["turnStarted", "permissionRequested", "permissionDecided", "turnFinished"],
  ]);
  expect(await owner.event("permissionDecided")).toMatchObject({ allowed: false, decider: Decider.END });
});

test("nothing changes any more once the changes are collected", async () => {
  // Without a user of their own, processes that have left the group would not be found, and stay.
  const scribbler: Action[] = rig.config.sessionIdentity === undefined ? [] : [["scribbler", "a.txt"]];
  await start([...scribbler, ["file", { path: "b.txt", text: "b\n" }], ["result", "done"]]);
  const { result } = await finished();
  expect(result.changes.map(({ path }) => path)).toContain("b.txt");
  const patch = await readArtifact(connection.client, Artifact_Kind.PATCH);
  expect(BigInt(patch.length)).toBe(result.patchSizeBytes);
  expect(await readArtifact(connection.client, Artifact_Kind.PATCH)).toEqual(patch);
});

test("a session that says it is idle has told what its turn changed", async () => {
  await start(
    [
      ["file", { path: "a.txt", text: "a\n" }],
      ["result", "done"],
    ],
    { idleMs: 10_000 },
  );
  await using owner = attach(connection);
  await expect.poll(() => idleAt(owner), { timeout: 20_000 }).toBeGreaterThan(0);
  const told = owner.events.slice(0, idleAt(owner)).findLast(({ event }) => event.case === "changesUpdated");
  expect(told?.event.value).toMatchObject({ changeCount: 1, changes: [{ path: "a.txt" }] });
});

/** Where among the events the session says that it is idle; -1 if it has not. */
function idleAt({ events }: Attached): number {
  return events.findIndex(({ event }) => event.case === "stateChanged" && event.value.state === State.IDLE);
}

test("a message that a Claude left unanswered when it went is a failure", async () => {
  await start(
    [
      ["until", "go"],
      ["result", "first"],
      ["exit", 0],
    ],
    { idleMs: 10_000 },
  );
  await using owner = attach(connection);
  await owner.event("turnStarted");
  owner.send({ case: "userMessage", value: { text: JSON.stringify([["result", "second"]]), messageId: "m2" } });
  // Once this one is refused, the one before has been taken.
  owner.send({ case: "userMessage", value: { text: "" } });
  await expect.poll(() => owner.refusals).toEqual(["MESSAGE_EMPTY"]);
  await writeFile(join(rig.config.paths.workTree, "go"), "");
  const { state, result } = await finished(owner);
  expect(state).toBe(State.FAILED);
  expect(result.outcome.value).toMatchObject({ reason: "CLAUDE_EXITED" });
  expect(result.finalText).toBe("first");
});

test("a Claude that goes while nothing is asked of it has done its work", async () => {
  await start(
    [
      ["result", "first"],
      ["exit", 0],
    ],
    { idleMs: 10_000 },
  );
  const { state, result } = await finished();
  expect(state).toBe(State.SUCCEEDED);
  expect(result).toMatchObject({ finalText: "first", processExit: { exitCode: 0 } });
});

test("does not read Claude's output while nobody stores it, and loses nothing", async () => {
  const count = 60_000;
  await start([
    ["lines", { count, length: 1000 }],
    ["result", "done"],
  ]);
  const newest = async () => (await connection.client.getSession({})).session!.lastSequence;
  let before = -1;
  const still = async () => {
    const now = await newest();
    const same = now === before && now > 1000;
    before = now;
    return same;
  };
  await expect.poll(still, { interval: 500, timeout: 20_000 }).toBe(true);
  expect(before).toBeLessThan(count);
  await using owner = attach(connection);
  await owner.done;
  expect(owner.events.filter(({ event }) => event.case === "unrecognizedLine")).toHaveLength(count);
  expect(owner.events.at(-1)!.event.value).toMatchObject({ state: State.SUCCEEDED });
}, 60_000);
