import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  type Artifact,
  Artifact_Kind,
  FileChange_Kind as Kind,
  Phase,
  RepositorySpecSchema,
  type SessionEvent,
  Session_State as State,
  type SessionResult,
  type SessionSpec,
  TurnAnswers,
} from "../../proto/index.ts";
import { type ScriptedModel, startScriptedModel } from "../model/scripted-model.ts";
import { type AgentRig, attach, type Connection, kinds, serveModel, startRig } from "./agent-rig.ts";
import { artifactOf, readArtifact } from "./artifacts.ts";

let model: ScriptedModel;
let rig: AgentRig;
let connection: Connection;
let serving: AsyncDisposable;

beforeEach(async () => {
  model = await startScriptedModel();
  rig = await startRig();
  connection = rig.connect();
  serving = serveModel(connection, model.url);
});

afterEach(async () => {
  await serving[Symbol.asyncDispose]();
  await rig[Symbol.asyncDispose]();
  await model[Symbol.asyncDispose]();
});

type Spec = Partial<
  Pick<SessionSpec, "idleTimeout" | "timeout" | "maxStepCount" | "permissionMode" | "allowedTools" | "repository">
>;

async function start(task: string, spec: Spec = {}): Promise<void> {
  await connection.client.startSession({ sessionId: "ses_1", spec: { task, ...spec } });
}

/** Runs a session to its end and returns its events and its whole result. */
async function run(
  task: string,
  spec: Spec = {},
): Promise<{ events: readonly SessionEvent[]; result: SessionResult; state: State }> {
  await start(task, spec);
  await using owner = attach(connection);
  await owner.done;
  const { session } = await connection.client.getSession({});
  return { events: owner.events, result: session!.result!, state: session!.state };
}

function failureOf(result: SessionResult) {
  return result.outcome.case === "failure" ? result.outcome.value : undefined;
}

test("runs a task and leaves its answer, its changes and a timeline", async () => {
  const { events, result, state } = await run("[scenario: small-edit] hello");
  expect(state).toBe(State.SUCCEEDED);
  expect(result).toMatchObject({
    outcome: { case: "success" },
    changeCount: 1,
    patchTruncated: false,
  });
  expect(result.finalText).toContain("NOTES.md");
  expect(result.changes).toMatchObject([{ path: "NOTES.md", kind: Kind.ADDED, addedLineCount: 3 }]);
  expect((await readArtifact(connection.client, Artifact_Kind.PATCH)).toString()).toContain("+- hello");
  expect(result.usage).toMatchObject({ stepCount: 3 });
  expect(result.usage!.outputTokenCount).toBeGreaterThan(0n);
  expect(result.processExit).toMatchObject({ exitCode: 0, timedOut: false, canceled: false });
  expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index + 1));
  const order = [
    "sessionStarted",
    "turnStarted",
    "claudeReady",
    "toolUseStarted",
    "toolUseFinished",
    "turnFinished",
    "sessionFinished",
  ];
  const seen = kinds(events).split(" ");
  expect(order.map((kind) => seen.indexOf(kind))).toEqual(
    order.map((kind) => seen.indexOf(kind)).toSorted((a, b) => a - b),
  );
  expect(seen.filter((kind) => kind === "sessionFinished")).toHaveLength(1);
  const { session } = await connection.client.getSession({});
  const phases = session!.phaseTimings.map(({ phase }) => phase);
  expect(phases).toEqual([Phase.WORKSPACE, Phase.CLAUDE, Phase.FIRST_REQUEST, Phase.WORK, Phase.COLLECT]);
  expect(session!.phaseTimings.every(({ elapsed }) => elapsed !== undefined)).toBe(true);
});

test("streams every changed file's diff while Claude works, and the patch can be read", async () => {
  const { events, result } = await run("[scenario: write-files count=3 delay-ms=700]");
  const patched = events.flatMap(({ event }) => (event.case === "filePatched" ? [event.value] : []));
  // A scan may also meet a temporary file that Claude Code writes first and then renames.
  const names = ["file-001.txt", "file-002.txt", "file-003.txt"];
  expect(patched.map(({ change }) => change?.path)).toEqual(expect.arrayContaining(names));
  for (const { patch, patchSha256, partCount } of patched) {
    expect(partCount).toBe(1);
    expect(Buffer.from(patchSha256)).toEqual(createHash("sha256").update(patch).digest());
  }
  const work = events.findIndex(({ event }) => event.case === "turnFinished");
  expect(events.findIndex(({ event }) => event.case === "filePatched")).toBeLessThan(work);
  const chunks: Uint8Array[] = [];
  let head: Artifact | undefined;
  for await (const { artifact, data } of connection.client.readArtifact({ kind: Artifact_Kind.PATCH })) {
    head ??= artifact;
    chunks.push(data);
  }
  const patch = Buffer.concat(chunks);
  expect(result.patchSizeBytes).toBe(BigInt(patch.length));
  expect(head).toEqual(artifactOf(Artifact_Kind.PATCH, patch));
  const rest: Uint8Array[] = [];
  for await (const { data } of connection.client.readArtifact({ kind: Artifact_Kind.PATCH, offset: 10n }))
    rest.push(data);
  expect(Buffer.concat(rest)).toEqual(patch.subarray(10));
});

test("takes one message after the other, each once, and finishes when it was idle long enough", async () => {
  await start("[scenario: small-edit] one", { idleTimeout: durationFromMs(3000) });
  await using owner = attach(connection);
  owner.send({ case: "userMessage", value: { text: "[scenario: small-edit] two", messageId: "m2" } });
  owner.send({ case: "userMessage", value: { text: "[scenario: small-edit] two again", messageId: "m2" } });
  await owner.event("stateChanged", ({ state }) => state === State.IDLE);
  owner.send({ case: "userMessage", value: { text: "[scenario: small-edit] three", messageId: "m3" } });
  await owner.done;
  const turns = owner.events.flatMap(({ event }) => (event.case === "turnStarted" ? [event.value.messageId] : []));
  expect(turns).toEqual(["", "m2", "m3"]);
  const finished = owner.events.flatMap(({ event }) => (event.case === "turnFinished" ? [event.value] : []));
  expect(finished.map(({ turn, failure }) => [turn, failure])).toEqual([1, 2, 3].map((turn) => [turn, undefined]));
  const { session } = await connection.client.getSession({});
  expect(session).toMatchObject({ state: State.SUCCEEDED, turnCount: 3 });
  const patch = (await readArtifact(connection.client, Artifact_Kind.PATCH)).toString();
  for (const line of ["+- one", "+- two", "+- three"]) expect(patch).toContain(line);
  // Cumulative as Claude tells it, and not added up again.
  expect(session!.result!.usage!.stepCount).toBe(9);
  const costs = owner.events.flatMap(({ event }) =>
    event.case === "usageUpdated" ? [event.value.usage!.costUsd] : [],
  );
  expect(session!.result!.usage!.costUsd).toBe(costs.at(-1));
  expect(costs).toEqual(costs.toSorted((a, b) => a - b));
});

test("an interrupt ends the turn and nothing else", async () => {
  await start("[scenario: slow-stream seconds=60]", { idleTimeout: durationFromMs(30_000) });
  await using owner = attach(connection);
  await owner.event("phaseChanged", ({ phase }) => phase === Phase.WORK);
  owner.send({ case: "interrupt", value: {} });
  expect(await owner.event("turnFinished")).toMatchObject({ turn: 1, interrupted: true });
  owner.send({ case: "userMessage", value: { text: "[scenario: small-edit] after all" } });
  expect(await owner.event("turnFinished", ({ turn }) => turn === 2)).toMatchObject({ interrupted: false });
  owner.send({ case: "stop", value: { reason: "enough" } });
  await owner.done;
  const { session } = await connection.client.getSession({});
  expect(session!.result).toMatchObject({
    outcome: { case: "cancellation", value: { reason: "enough" } },
    changeCount: 1,
  });
});

test("a stop in the middle of a turn still collects the changes", async () => {
  await start("[scenario: long-run seconds=60 steps=60]");
  await using owner = attach(connection);
  await owner.event("filePatched");
  owner.send({ case: "stop", value: { reason: "not needed any more" } });
  owner.send({ case: "stop", value: { reason: "a later reason" } });
  await owner.done;
  const { session } = await connection.client.getSession({});
  expect(session!.state).toBe(State.CANCELED);
  expect(session!.result).toMatchObject({
    outcome: { value: { reason: "not needed any more" } },
    processExit: { canceled: true },
  });
  expect(session!.result!.changeCount).toBeGreaterThan(0);
  expect(await owner.event("turnFinished")).toMatchObject({ interrupted: true });
});

test("a turn is over only when its background commands are", async () => {
  const { events, result } = await run("[scenario: background-task seconds=2]");
  expect(result.outcome.case).toBe("success");
  expect(result.changes.map(({ path }) => path)).toEqual(["background.txt"]);
  expect(result.finalText).toContain("done");
  expect(events.filter(({ event }) => event.case === "turnFinished")).toHaveLength(1);
  const tasks = events.flatMap(({ event }) =>
    event.case === "backgroundTasksChanged" ? [event.value.descriptions.length] : [],
  );
  expect(tasks).toEqual([1, 0]);
});

test("a session that takes too long fails, with what it did", async () => {
  const { result, state, events } = await run("[scenario: hang]", { timeout: durationFromMs(4000) });
  expect(state).toBe(State.FAILED);
  expect(failureOf(result)).toMatchObject({ reason: "TIMED_OUT", metadata: { timeout_seconds: "4" } });
  expect(result.processExit?.timedOut).toBe(true);
  expect(durationMs(result.elapsed!)).toBeLessThan(12_000);
  const [turn] = events.flatMap(({ event }) => (event.case === "turnFinished" ? [event.value] : []));
  expect(turn?.failure?.reason).toBe("TIMED_OUT");
});

test("a Claude that crashes leaves its changes and says how it died", async () => {
  const { result, state } = await run("[scenario: crash]");
  expect(state).toBe(State.FAILED);
  expect(failureOf(result)).toMatchObject({ reason: "CLAUDE_EXITED", metadata: { signal: "SIGKILL" } });
  expect(result.processExit).toMatchObject({ signal: "SIGKILL" });
  expect(result.changes.map(({ path }) => path)).toEqual(["before-the-end.txt"]);
});

test("a Claude that exits without a result has failed", async () => {
  const { result } = await run("[scenario: silent-exit]");
  expect(failureOf(result)).toMatchObject({ reason: "CLAUDE_EXITED", metadata: { exit_code: "143" } });
  expect(result.changes.map(({ path }) => path)).toEqual(["before-the-end.txt"]);
});

test("a refused credential ends the session at once", async () => {
  const { result, events } = await run("[scenario: api-error status=401]");
  expect(failureOf(result)).toMatchObject({ reason: "AUTHENTICATION_FAILED", metadata: { http_status: "401" } });
  expect(events.filter(({ event }) => event.case === "retrying")).toEqual([]);
  expect(durationMs(result.elapsed!)).toBeLessThan(15_000);
});

test("a failing model is the session's failure, with the API's words", async () => {
  const { result } = await run("[scenario: api-error status=400]");
  const failure = failureOf(result);
  expect(failure).toMatchObject({ reason: "MODEL_ERROR", metadata: { api_error_status: "400" } });
  expect(failure?.message).toContain("told to refuse");
});

test("retries are told, and do no harm", async () => {
  const { result, events } = await run("[scenario: api-error status=529 times=1]");
  expect(result.outcome.case).toBe("success");
  const [retry] = events.flatMap(({ event }) => (event.case === "retrying" ? [event.value] : []));
  expect(retry).toMatchObject({ attempt: 1, httpStatus: 529, reason: "overloaded" });
});

test("a limit on steps is a failure that says so", async () => {
  const { result } = await run("[scenario: multi-file-change]", { maxStepCount: 1 });
  expect(failureOf(result)?.reason).toBe("STEP_LIMIT_REACHED");
});

test("lines of megabytes are cut in events and survive", async () => {
  const { events, result } = await run("[scenario: huge-edit]");
  expect(result.outcome.case).toBe("success");
  const cut = events.flatMap(({ event }) =>
    event.case === "toolUseFinished" && event.value.truncated ? [event.value] : [],
  );
  expect(result.changes.map(({ path }) => path)).toEqual(["huge.txt"]);
  expect(cut.every(({ sizeBytes }) => sizeBytes > 48n * 1024n)).toBe(true);
});

test("a long answer is cut in events and longer in GetSession", async () => {
  const { events, result } = await run("[scenario: long-answer bytes=3000000]");
  const [said] = events.flatMap(({ event }) => (event.case === "assistantText" ? [event.value] : []));
  expect(said).toMatchObject({ truncated: true });
  expect(said!.sizeBytes).toBeGreaterThan(2_900_000n);
  expect(result).toMatchObject({ finalTextTruncated: true });
  expect(result.finalText.length).toBeGreaterThan(2_000_000);
});

test("an answer that is too long for one event is whole in several, and in GetSession", async () => {
  const { events, result } = await run("[scenario: long-answer bytes=100000]");
  const answers = new TurnAnswers();
  const told = events.flatMap(({ event }) => {
    if (event.case === "answerPart") answers.add(event.value);
    return event.case === "turnFinished" ? [answers.of(event.value)] : [];
  });
  expect(told).toEqual([{ text: result.finalText, truncated: false, turn: 1 }]);
  expect(result.finalText.length).toBeGreaterThan(90_000);
  expect(result).toMatchObject({ finalTextTruncated: false, finalTextTurn: 1 });
});

test("what was said beside the last tool call is the answer where nothing follows", async () => {
  const { result } = await run("[scenario: quiet-end]");
  expect(result).toMatchObject({ outcome: { case: "success" }, finalText: "The answer is 42.", finalTextTurn: 1 });
});

test("an answer that the model's limit cut is whole where Claude goes on, and a failure where it is cut for good", async () => {
  const { result } = await run("[scenario: stop-reason]");
  expect(result.finalText).toBe("This answer ends before itsI had been cut short; this is the rest.");
  await rig[Symbol.asyncDispose]();
  rig = await startRig();
  connection = rig.connect();
  serving = serveModel(connection, model.url);
  const cut = (await run("[scenario: stop-reason times=9]")).result;
  expect(failureOf(cut)?.reason).toBe("ANSWER_CUT");
  expect(cut.finalText).toMatch(/^(This answer ends before its){4}$/);
});

test("a model that refuses has not failed", async () => {
  const { result } = await run("[scenario: stop-reason reason=refusal times=9]");
  expect(failureOf(result)).toMatchObject({
    reason: "MODEL_REFUSED",
    message: expect.stringMatching(/^The model refused/),
  });
});

test("a flood of output harms nothing", async () => {
  const { result } = await run("[scenario: output-flood megabytes=30]");
  expect(result.outcome.case).toBe("success");
});

test("bytes that are no text survive", async () => {
  const { result, events } = await run("[scenario: invalid-utf8]");
  expect(result.outcome.case).toBe("success");
  expect(result.changeCount).toBeGreaterThan(3);
  expect(events.some(({ event }) => event.case === "filePatched")).toBe(true);
});

test("waits for a host before the first model request, and goes on when one comes", async () => {
  await serving[Symbol.asyncDispose]();
  await start("[scenario: small-edit] patience");
  await using owner = attach(connection);
  await owner.event("phaseChanged", ({ phase }) => phase === Phase.WORK);
  expect(model.requests).toEqual([]);
  serving = serveModel(connection, model.url);
  await owner.done;
  expect((await connection.client.getSession({})).session?.state).toBe(State.SUCCEEDED);
});

test("survives the loss of the host's connection in the middle of an answer", async () => {
  await start("[scenario: long-run seconds=6 steps=6]");
  const owner = attach(connection);
  await owner.event("toolUseFinished");
  const seen = owner.events.length;
  await serving[Symbol.asyncDispose]();
  await owner[Symbol.asyncDispose]();
  connection[Symbol.dispose]();
  connection = rig.connect();
  serving = serveModel(connection, model.url);
  await using again = attach(connection, { afterSequence: seen });
  await again.done;
  expect(again.events[0]?.sequence).toBe(seen + 1);
  expect((await connection.client.getSession({})).session?.state).toBe(State.SUCCEEDED);
});

test("uses only the tools that it may, where the mode asks for permission", async () => {
  const { events, result } = await run("[scenario: failing-command]", { permissionMode: "dontAsk" });
  const tools = events.flatMap(({ event }) => (event.case === "toolUseFinished" ? [event.value] : []));
  expect(tools.length).toBeGreaterThan(0);
  expect(tools.every(({ failed }) => failed)).toBe(true);
  expect(result.changeCount).toBe(0);
});

test("takes rules with spaces in them, and allows nothing else", async () => {
  const touch = (command: string) => ({ name: "Bash", input: { command, description: "Make files" } });
  const calls = JSON.stringify([touch("touch made one two"), touch("touch other")]);
  const allowedTools = ["Bash(touch made *)", "Read"];
  const { result } = await run(`[scenario: call-tools ${calls}]`, { permissionMode: "dontAsk", allowedTools });
  expect(result.changes.map(({ path }) => path).toSorted()).toEqual(["made", "one", "two"]);
});

test("says what it could not clone, and why", async () => {
  const { result, state } = await run("anything", {
    repository: create(RepositorySpecSchema, { uri: "http://git.invalid/owner/name" }),
  });
  expect(state).toBe(State.FAILED);
  const failure = failureOf(result);
  expect(failure?.reason).toMatch(/^REPOSITORY_/);
  expect(failure?.message).toContain("git.invalid");
  expect(result.processExit).toBeUndefined();
});
