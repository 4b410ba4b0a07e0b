import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Artifact_Kind, Phase, type SessionResult, Session_State as State } from "../../proto/index.ts";
import { type AgentRig, attach, type Attached, type Connection, kinds, startRig } from "../../test/agent/agent-rig.ts";
import { readArtifact } from "../../test/agent/artifacts.ts";

const claudeCommand = fileURLToPath(new URL("../../test/support/fake-claude.mjs", import.meta.url));
const EDIT = JSON.stringify([
  ["file", { path: "a.txt", text: "a\n" }],
  ["result", "done"],
]);

let rig: AgentRig;
let connection: Connection;

beforeEach(async () => {
  rig = await startRig({ config: { claudeCommand }, timeouts: { exitMs: 500, terminateMs: 500, pipesMs: 200 } });
  connection = rig.connect();
});

afterEach(async () => {
  await rig[Symbol.asyncDispose]();
});

interface Commands {
  setup?: string;
  setupMs?: number;
  check?: string;
  checkMs?: number;
  timeoutMs?: number;
}

async function start({ setup, setupMs, check, checkMs, timeoutMs = 60_000 }: Commands): Promise<Attached> {
  const command = (text: string, ms = 60_000) => ({ command: text, timeout: durationFromMs(ms) });
  const spec = {
    task: EDIT,
    timeout: durationFromMs(timeoutMs),
    ...(setup !== undefined && { setup: command(setup, setupMs) }),
    ...(check !== undefined && { check: command(check, checkMs) }),
  };
  await connection.client.startSession({ sessionId: "ses_1", spec });
  return attach(connection);
}

/** The session's end, with the phases that it went through. */
async function ended(owner: Attached): Promise<{ state: State; result: SessionResult; phases: Phase[] }> {
  await owner.done;
  const { session } = await connection.client.getSession({});
  const { state, result, phaseTimings } = session!;
  return { state, result: result!, phases: phaseTimings.map(({ phase }) => phase) };
}

function outputOf(owner: Attached, phase: Phase): string {
  const written = owner.events.map(({ event }) => (event.case === "commandOutput" ? event.value : undefined));
  return Buffer.concat(written.flatMap((each) => (each?.phase === phase ? [each.data] : []))).toString();
}

const failureOf = ({ outcome }: SessionResult) => (outcome.case === "failure" ? outcome.value : undefined);

test("a setup runs before Claude, where Claude will, and says what it wrote and changed", async () => {
  const setup =
    'pwd; echo gone >&2; echo built > made.txt; echo made.o > .gitignore; touch made.o; [ -z "$ANTHROPIC_API_KEY" ]';
  await using owner = await start({ setup });
  const { state, result, phases } = await ended(owner);
  expect(state).toBe(State.SUCCEEDED);
  expect(phases.slice(0, 3)).toEqual([Phase.WORKSPACE, Phase.SETUP, Phase.CLAUDE]);
  expect(outputOf(owner, Phase.SETUP)).toBe(`${rig.config.paths.workTree}\ngone\n`);
  expect(result.setup).toMatchObject({ result: { exitCode: 0, timedOut: false }, changedPathCount: 2 });
  expect(result.setup!.changedPaths.toSorted()).toEqual([".gitignore", "made.txt"]);
  // What it changed stays in the patch, which is against what was sent; what git ignores does not go into it.
  expect(result.changes.map(({ path }) => path)).toEqual([".gitignore", "a.txt", "made.txt"]);
  const order = kinds(owner.events).split(" ");
  expect(order.indexOf("setupFinished")).toBeLessThan(order.indexOf("turnStarted"));
});

test("a setup that fails is the session's failure, with its last words, and Claude is not started", async () => {
  await using owner = await start({ setup: "echo no such package; exit 3", check: "true" });
  const { state, result, phases } = await ended(owner);
  expect(state).toBe(State.FAILED);
  expect(failureOf(result)).toMatchObject({ reason: "SETUP_FAILED", metadata: { exit_code: "3" } });
  expect(failureOf(result)!.message).toContain("exit code 3");
  expect(failureOf(result)!.message).toContain("no such package");
  expect(result).toMatchObject({ setup: { result: { exitCode: 3 } } });
  expect(result.processExit).toBeUndefined();
  expect(result.check).toBeUndefined();
  expect(phases).not.toContain(Phase.CLAUDE);
  expect(kinds(owner.events)).not.toContain("turnStarted");
});

test("a setup that takes too long is ended with all that it has started", async () => {
  await using owner = await start({ setup: "trap '' TERM; echo begun; sleep 1000 & wait; sleep 1000", setupMs: 1000 });
  const { result } = await ended(owner);
  expect(failureOf(result)).toMatchObject({ reason: "SETUP_FAILED" });
  expect(failureOf(result)!.message).toContain("its time");
  expect(failureOf(result)!.message).toContain("begun");
  expect(result.setup!.result).toMatchObject({ timedOut: true });
  expect(result.setup!.result!.exitCode).toBeUndefined();
});

test("what a setup leaves running goes on beside Claude and is counted, and ends with the session", async () => {
  const setup = "(trap 'touch ended' EXIT; while :; do echo tick; sleep 0.05; done) & echo up";
  await using owner = await start({ setup, check: "test ! -e ended" });
  const { state, result } = await ended(owner);
  expect(state).toBe(State.SUCCEEDED);
  if (rig.config.sessionIdentity !== undefined) expect(result.setup!.leftProcessCount).toBeGreaterThan(0);
  expect(outputOf(owner, Phase.SETUP)).toContain("up");
  expect(result.changes.map(({ path }) => path)).toEqual(["a.txt"]);
  expect(existsSync(join(rig.config.paths.workTree, "ended"))).toBe(false);
});

test("the time of the setup is none of Claude's", async () => {
  await using owner = await start({ setup: "sleep 3", timeoutMs: 2500 });
  const { state } = await ended(owner);
  expect(state).toBe(State.SUCCEEDED);
});

test("a session that is stopped during its setup is canceled", async () => {
  await using owner = await start({ setup: "echo begun; sleep 1000" });
  await owner.event("commandOutput");
  owner.send({ case: "stop", value: { reason: "enough" } });
  const { state, result } = await ended(owner);
  expect(state).toBe(State.CANCELED);
  expect(result.setup).toBeUndefined();
});

test("a check that fails is no failure of the session, and writes nothing into the patch", async () => {
  const check = "cat a.txt; echo changed > a.txt; echo more > b.txt; echo one test failed; exit 1";
  await using owner = await start({ check });
  const { state, result, phases } = await ended(owner);
  expect(state).toBe(State.SUCCEEDED);
  expect(result.check).toMatchObject({ exitCode: 1, timedOut: false, outputTail: "a\none test failed" });
  expect(outputOf(owner, Phase.CHECK)).toBe("a\none test failed\n");
  expect(phases.at(-1)).toBe(Phase.CHECK);
  expect(result.changes).toMatchObject([{ path: "a.txt", addedLineCount: 1 }]);
  const patch = (await readArtifact(connection.client, Artifact_Kind.PATCH)).toString();
  expect(patch).toContain("+a\n");
  expect(patch).not.toContain("changed");
  expect(patch).not.toContain("more");
});

test("the patch is Claude's while the check still runs", async () => {
  await using owner = await start({ check: "echo more > b.txt; echo begun; sleep 1000" });
  await owner.event("commandOutput");
  const patch = (await readArtifact(connection.client, Artifact_Kind.PATCH)).toString();
  expect(patch).toContain("+a\n");
  expect(patch).not.toContain("more");
  owner.send({ case: "stop", value: { reason: "enough" } });
  const { state, result } = await ended(owner);
  // Claude had done its part.
  expect(state).toBe(State.SUCCEEDED);
  expect(result.check).toBeUndefined();
});

test("a check that takes too long has not passed", async () => {
  await using owner = await start({ check: "sleep 1000", checkMs: 1000 });
  const { state, result } = await ended(owner);
  expect(state).toBe(State.SUCCEEDED);
  expect(result.check).toMatchObject({ timedOut: true });
});
