import { join } from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  ContainerSpecSchema,
  Phase,
  RepositorySpecSchema,
  type Session,
  Session_State as State,
  SessionSpecSchema,
} from "../../proto/index.ts";
import { readPatch } from "../../host/present/read-session.ts";
import { git, SMALL_REPOSITORY } from "../model/small-repository.ts";
import { applyPatch } from "../support/apply-patch.ts";
import { claudecluster } from "../support/claudecluster.ts";
import { eachEvent } from "../support/each-event.ts";
import { startMcpServer } from "../support/mcp-client.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";

let rig: HostRig;
beforeAll(async () => {
  rig = await startHostRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

/** A task of one command of Claude's. */
const bash = (command: string) => `[scenario: call-tools ${JSON.stringify([{ name: "Bash", input: { command } }])}]`;

async function spawn(spec: MessageInitShape<typeof SessionSpecSchema>): Promise<string> {
  const repository = create(RepositorySpecSchema, { uri: rig.repository });
  const { id } = await rig.sessions.create({
    spec: create(SessionSpecSchema, { ...(spec.afterSessionId === undefined && { repository }), ...spec }),
    container: create(ContainerSpecSchema),
  });
  return id;
}

async function ended(id: string): Promise<Session & { output: string; patch: Buffer }> {
  let output = "";
  for await (const { event } of eachEvent(
    rig.sessions.watch(id, { afterSequence: 0, signal: AbortSignal.timeout(150_000) }),
  )) {
    if (event.case === "commandOutput") output += Buffer.from(event.value.data).toString();
  }
  return { ...(await rig.sessions.get(id)), output, patch: await readPatch(rig.sessions, id) };
}

test("a setup makes ready what Claude and the check find, and only what git takes is in the patch", async () => {
  const id = await spawn({
    task: bash("cat node_modules/tool && curl -s 127.0.0.1:7000/ > served; echo two >> lock"),
    setup: {
      command:
        "echo $USER; echo node_modules > .gitignore; mkdir node_modules; echo ready > node_modules/tool; echo one > lock; " +
        'node -e \'require("http").createServer((_, answer) => answer.end("up\\n")).listen(7000)\' & ' +
        "until curl -s 127.0.0.1:7000/ > /dev/null; do sleep 0.1; done",
    },
    check: { command: "cat node_modules/tool served; echo x > spoilt; exit 7" },
  });
  const { state, output, patch, result, phaseTimings } = await ended(id);
  expect(state, JSON.stringify(result?.outcome)).toBe(State.SUCCEEDED);
  expect(output).toBe("claude\nready\nup\n");
  expect(result!.setup).toMatchObject({ result: { exitCode: 0 }, leftProcessCount: 1 });
  expect(result!.setup!.changedPaths.toSorted()).toEqual([".gitignore", "lock"]);
  expect(result!.check).toMatchObject({ exitCode: 7, outputTail: "ready\nup" });
  expect(phaseTimings.map(({ phase }) => phase)).toEqual(expect.arrayContaining([Phase.SETUP, Phase.CHECK]));
  const files = await applyPatch(rig.git.directoryOf("greeter"), patch);
  expect(files).toMatchObject({ lock: "one\ntwo\n", served: "up\n" });
  expect(Object.keys(files).filter((path) => /spoilt|node_modules/.test(path))).toEqual([]);
});

test("a setup that fails, or takes too long, is the session's failure, and the model is not asked", async () => {
  const before = rig.model.requests.length;
  const failing = await ended(await spawn({ task: "x", setup: { command: "echo no such package >&2; exit 4" } }));
  expect(failing.result!.outcome).toMatchObject({ case: "failure", value: { reason: "SETUP_FAILED" } });
  expect(JSON.stringify(failing.result!.outcome.value)).toContain("no such package");
  const command = "trap '' TERM; (setsid sleep 1000 &); echo slow; sleep 1000";
  const slow = await ended(await spawn({ task: "x", setup: { command, timeout: durationFromMs(2000) } }));
  expect(slow.result!.outcome).toMatchObject({ case: "failure", value: { reason: "SETUP_FAILED" } });
  expect(slow.result!.setup!.result).toMatchObject({ timedOut: true, outputTail: "slow" });
  expect(rig.model.requests.length).toBe(before);
});

test("sessions that follow one start from its changes once it has succeeded, though the host was killed meanwhile", async () => {
  const first = await spawn({ task: "[scenario: long-run seconds=12 steps=6]" });
  const second = await spawn({ task: bash("cp progress/log.txt second.txt"), afterSessionId: first });
  const third = await spawn({ task: bash("cat second.txt > third.txt"), afterSessionId: second });
  const besides = await spawn({ task: bash("ls > besides.txt"), afterSessionId: first });
  await expect.poll(async () => (await rig.sessions.get(third)).waitingReason, { timeout: 20_000 }).toContain(second);
  await expect.poll(async () => (await rig.sessions.get(first)).state, { timeout: 60_000 }).toBe(State.RUNNING);
  process.kill((await rig.link.connect()).processId, "SIGKILL");
  expect((await rig.sessions.get(second)).state).toBe(State.QUEUED);
  const ends = await Promise.all([first, second, third, besides].map(ended));
  for (const { state, result } of ends) expect(state, JSON.stringify(result?.outcome)).toBe(State.SUCCEEDED);
  const files = await Promise.all(ends.map(({ patch }) => applyPatch(rig.git.directoryOf("greeter"), patch)));
  expect(files[2]!["third.txt"]).toBe(files[0]!["progress/log.txt"]);
  expect(files[3]).not.toHaveProperty("second.txt");
  expect(files[3]!["besides.txt"]).toContain("progress");
  expect(ends[1]!.conversationId).not.toBe(ends[0]!.conversationId);
});

test("a session does not start after one that failed", async () => {
  const first = await spawn({ task: "x", setup: { command: "sleep 2; false" } });
  const second = await ended(await spawn({ task: "x", afterSessionId: first, setup: { command: "" } }));
  expect(second).toMatchObject({ state: State.FAILED, containerId: "" });
  expect(second.result!.outcome.value).toMatchObject({ reason: "PREVIOUS_SESSION_FAILED" });
});

test("attempts are checked in their containers, stand side by side, and one command takes the one that passed", async () => {
  const uri = await rig.git.addRepository("race", SMALL_REPOSITORY);
  const bare = rig.git.directoryOf("race");
  await git(bare, "config", "http.receivepack", "true");
  // Only one of them can be the first to push.
  const check =
    "git config user.name A; git config user.email a@b.c; git commit -qam $RANDOM$$ --allow-empty && " +
    "git push -q origin HEAD:refs/heads/claude/won";
  const { code, stdout, stderr } = await claudecluster(rig.place, [
    ...["run", "-r", uri, "--attempts", "2", "--check", check],
    "[scenario: small-edit] hello",
  ]);
  expect(code, stderr).toBe(0);
  const [first, second] = stdout.split("\n");
  expect(first).toMatch(/^ses_\S+ +succeeded +check passed, .*1 file \+3 -0 +\$/);
  expect(second).toMatch(/^ses_\S+ +succeeded +check failed with exit code \d+, .*1 file \+3 -0 +\$/);
  const ids = [first, second].map((line) => line!.split(" ")[0]!);
  expect(stdout).toContain(`To take the first: claudecluster apply ${ids[0]}\n`);
  const clone = join(rig.place.root, "clone");
  await git(rig.place.root, "clone", "-q", bare, clone);
  const compared = await claudecluster(rig.place, ["compare", ...ids], { cwd: clone });
  expect(compared.stdout, compared.stderr).toMatch(new RegExp(`^${ids[0]}  1 file +check passed, `));
  expect(compared.stdout).toMatch(new RegExp(`^${ids[1]}  1 file +check failed with exit code `, "m"));
  const applied = await claudecluster(rig.place, ["apply", ids[0]!], { cwd: clone });
  expect(applied.code, applied.stderr).toBe(0);
});

test("a parent gets its attempts compared, and of a single session how its check ended", async () => {
  await using mcp = await startMcpServer({ place: rig.place });
  const progress: string[] = [];
  const args = { task: "[scenario: small-edit] hello", repository: rig.repository };
  const both = await mcp.spawn(
    { ...args, attempts: 2, check: "grep hello NOTES.md" },
    { onProgress: (message) => void progress.push(message) },
  );
  expect(both.isError, both.text).toBe(false);
  expect(both.text.match(/^ses_\S+ +succeeded +check passed, /gm)).toHaveLength(2);
  expect(both.text).toMatch(/claudecluster apply ses_/);
  expect(progress.join("\n")).toContain("running the check");
  const single = await mcp.spawn({ ...args, setup: "echo made > made.txt", check: "echo not yet; exit 2" });
  expect(single.summary).toMatchObject({ state: "succeeded", check: { passed: false, output: "not yet" } });
  expect(single.text).toContain("check failed with exit code 2");
  expect(single.text).toContain("changed by the setup, before Claude: made.txt");
});

test("a result has the schema that was asked for, or the session fails; a schema that is none makes no container", async () => {
  await using mcp = await startMcpServer({ place: rig.place });
  const schema = { type: "object", properties: { count: { type: "integer" } }, required: ["count"] };
  const answering = (input: object) =>
    `[scenario: call-tools ${JSON.stringify([{ name: "StructuredOutput", input }])}] Count.`;
  const options = { repository: "none", json_schema: schema };
  const { text } = await mcp.spawn({ ...options, tasks: [answering({ count: 3 }), "[scenario: small-edit] Count."] });
  expect(text).toMatch(/^2 sessions: 1 succeeded, 1 failed\n/);
  expect(text).toContain('answer:\n  {"count":3}');
  expect(text).toMatch(/ failed: RESULT_INVALID: Claude's result is not what json_schema asks for: it is no JSON\./);
  const wrong = await mcp.spawn({ task: "x", repository: "none", json_schema: { type: "object", properties: 7 } });
  expect(wrong.text).toMatch(/^SCHEMA_INVALID: .*properties must be object.* Give a JSON Schema such as /);
  const flags = ["run", "--no-repository", "--json-schema", JSON.stringify(schema), answering({ count: 4 })];
  const run = await claudecluster(rig.place, flags);
  expect(run.stderr, run.stdout).toContain('{"count":4}');
});
