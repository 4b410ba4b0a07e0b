import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Artifact_Kind, AttachStart_Role as Role, type Session, Session_State as State } from "../../proto/index.ts";
import { type Attached, attach, kinds } from "./agent-rig.ts";
import { type LiveAgent, startLiveAgent } from "./live-agent.ts";
import { type Left, readArtifact, writeLeft } from "./artifacts.ts";

/** Where every container has its workspace: the same for all of them. */
const root = join(tmpdir(), `continuation-${process.pid}`);

let agent: LiveAgent | undefined;

afterEach(() => agent?.[Symbol.asyncDispose]());

/** Ends the agent before: nothing is left of it. */
async function newAgent(): Promise<LiveAgent> {
  await agent?.[Symbol.asyncDispose]();
  agent = undefined;
  return (agent = await startLiveAgent({ root }));
}

const patchOf = async ({ connection }: LiveAgent) =>
  (await readArtifact(connection.client, Artifact_Kind.PATCH)).toString();

/** What a finished session leaves, read as the host does. */
async function leftOf(agent: LiveAgent): Promise<Left> {
  const { result } = await agent.session();
  const { client } = agent.connection;
  return {
    conversationId: result!.conversationId,
    patch: await readArtifact(client, Artifact_Kind.PATCH),
    transcript:
      result!.transcriptSizeBytes === 0n ? Buffer.alloc(0) : await readArtifact(client, Artifact_Kind.TRANSCRIPT),
  };
}

/** Runs a session to its end in an agent of its own. */
async function first(task: string): Promise<{ session: Session; left: Left }> {
  const agent = await newAgent();
  await agent.start(task);
  await using owner = attach(agent.connection);
  await owner.done;
  return { session: await agent.session(), left: await leftOf(agent) };
}

/** Continues it in another one, and waits for its end. */
async function next(left: Left, task: string): Promise<{ agent: LiveAgent; owner: Attached }> {
  const agent = await newAgent();
  await writeLeft(agent.connection.client, "ses_1", left);
  await agent.start(task, { previousSessionId: "ses_0" }, { previousConversationId: left.conversationId });
  await using owner = attach(agent.connection);
  await owner.done;
  return { agent, owner };
}

const NOTHING: Left = { conversationId: "", patch: Buffer.alloc(0), transcript: Buffer.alloc(0) };

function modelHeard(agent: LiveAgent): string {
  const { messages } = agent.model.requests.at(-1)!.body as { messages: unknown };
  return JSON.stringify(messages);
}

test("continues with the files, the conversation and one patch for both", async () => {
  const { session: before, left } = await first("[scenario: small-edit] first wish");
  expect(left.transcript.toString()).toContain("first wish");
  const { agent, owner } = await next(left, "[scenario: small-edit] second wish");
  const { state, result } = await agent.session();
  expect(state).toBe(State.SUCCEEDED);
  expect(await owner.event("sessionRestored")).toMatchObject({
    previousSessionId: "ses_0",
    patchSizeBytes: BigInt(left.patch.length),
    conversationRestored: true,
  });
  // The file that the first session made was there to be edited, and told before Claude did anything.
  const patch = await patchOf(agent);
  expect(patch).toContain("+- first wish\n+- second wish");
  expect(result!.changes).toMatchObject([{ path: "NOTES.md", addedLineCount: 4 }]);
  const [told] = owner.events.flatMap(({ event }) => (event.case === "filePatched" ? [event.value] : []));
  expect(Buffer.from(told!.patch).toString()).not.toContain("second wish");
  // The model has heard both.
  const heard = modelHeard(agent);
  for (const said of ["first wish", "second wish", "goes on in a new container"]) {
    expect(heard.includes(said), said).toBe(true);
  }
  expect(result!.conversationId).toBe(left.conversationId);
  // What the first session has used is not counted again.
  const { usage } = before.result!;
  expect(result!.usage!.costUsd).toBeLessThan(usage!.costUsd * 1.9);
  expect(Number(result!.usage!.outputTokenCount)).toBeLessThan(Number(usage!.outputTokenCount) * 1.9);
});

test("continues what was continued", async () => {
  const { left } = await first("[scenario: small-edit] one");
  const { agent: second } = await next(left, "[scenario: small-edit] two");
  const { agent, owner } = await next(await leftOf(second), "[scenario: small-edit] three");
  expect(await owner.event("sessionRestored")).toMatchObject({ conversationRestored: true });
  expect(await patchOf(agent)).toContain("+- one\n+- two\n+- three");
  const heard = modelHeard(agent);
  for (const said of ["] one", "] two", "] three"]) expect(heard.includes(said), said).toBe(true);
});

test("continues after a Claude that was killed in the middle of a command", async () => {
  const { session: before, left } = await first("[scenario: crash]");
  expect(before.state).toBe(State.FAILED);
  const { agent, owner } = await next(left, "[scenario: small-edit] after all");
  expect(await owner.event("sessionRestored")).toMatchObject({ conversationRestored: true });
  const { state, result } = await agent.session();
  expect(state).toBe(State.SUCCEEDED);
  expect(result!.changes.map(({ path }) => path)).toEqual(["NOTES.md", "before-the-end.txt"]);
  expect(modelHeard(agent).includes("scenario: crash")).toBe(true);
});

test.each([
  ["there is none", () => Buffer.alloc(0), "TRANSCRIPT_MISSING"],
  ["it is no transcript", () => Buffer.from("not json\n".repeat(1000)), "CLAUDE_NOT_STARTED"],
])("begins a new conversation on the same files, and says so, when %s", async (_name, transcript, reason) => {
  const { left } = await first("[scenario: small-edit] first wish");
  const { agent, owner } = await next({ ...left, transcript: transcript() }, "[scenario: small-edit] second wish");
  expect(await owner.event("sessionRestored")).toMatchObject({
    conversationRestored: false,
    conversationFailure: { reason },
  });
  const { state, result } = await agent.session();
  expect(state).toBe(State.SUCCEEDED);
  expect(await patchOf(agent)).toContain("+- first wish\n+- second wish");
  expect(result!.conversationId).not.toBe(left.conversationId);
  expect(modelHeard(agent).includes("could not be restored")).toBe(true);
  const order = kinds(owner.events).split(" ");
  expect(order.indexOf("sessionRestored")).toBeLessThan(order.indexOf("turnStarted"));
});

test("does not begin without the changes: a patch that does not fit fails the session", async () => {
  const patch = Buffer.from("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n");
  const { agent } = await next({ ...NOTHING, patch }, "[scenario: small-edit] x");
  const { state, result } = await agent.session();
  expect(state).toBe(State.FAILED);
  expect(result!.outcome).toMatchObject({ case: "failure", value: { reason: "PATCH_NOT_APPLIED" } });
});

test("has the transcript once the session has finished, whoever reads, and not before", async () => {
  const agent = await newAgent();
  await agent.start("[scenario: small-edit] x", { idleTimeout: durationFromMs(30_000) });
  await using owner = attach(agent.connection);
  await owner.event("stateChanged", ({ state }) => state === State.IDLE);
  const read = () => readArtifact(agent.connection.client, Artifact_Kind.TRANSCRIPT);
  await expect(read()).rejects.toThrow("once the session has finished");
  owner.send({ case: "stop", value: {} });
  await owner.done;
  await using late = attach(agent.connection, { role: Role.OBSERVER });
  await late.done;
  const transcript = await read();
  expect(BigInt(transcript.length)).toBe((await agent.session()).result!.transcriptSizeBytes);
  for (const line of transcript.toString().trim().split("\n")) expect(() => JSON.parse(line) as unknown).not.toThrow();
});
