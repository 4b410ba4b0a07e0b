import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Artifact, Artifact_Kind, ErrorInfoSchema, PIECE_BYTES } from "../../proto/index.ts";
import { type AgentRig, type Connection, startRig } from "../../test/agent/agent-rig.ts";
import { artifactOf, type Left, writeLeft, writeRequests } from "../../test/agent/artifacts.ts";
import { type PreparingPlace, preparingPlace } from "../../test/agent/preparing-place.ts";

const { PATCH, TRANSCRIPT } = Artifact_Kind;

let place: PreparingPlace;
let rig: AgentRig;
let connection: Connection;

beforeEach(async () => {
  place = preparingPlace();
  rig = await startRig({ place });
  connection = rig.connect();
});

afterEach(() => rig[Symbol.asyncDispose]());

const conversationId = "0b8f1c1e-5f0a-4c5f-9a52-0d8c2f6f3a11";
const left: Left = { conversationId, patch: Buffer.alloc(700_000, "p"), transcript: Buffer.from("{}\n") };
const patch = artifactOf(PATCH, left.patch);
const NOTHING: Left = { conversationId: "", patch: Buffer.alloc(0), transcript: Buffer.alloc(0) };

const write = (requests: Parameters<Connection["client"]["writeArtifact"]>[0]) =>
  connection.client.writeArtifact(requests);
const start = (sessionId = "ses_1", previousConversationId = conversationId) =>
  connection.client.startSession({
    sessionId,
    spec: { task: "go on", previousSessionId: "ses_0" },
    previousConversationId,
  });

async function refusal(call: Promise<unknown>) {
  const error = ConnectError.from(await call.then(() => undefined).catch((reason: unknown) => reason));
  const [info] = error.findDetails(ErrorInfoSchema);
  return { code: error.code, reason: info?.reason, received: info?.metadata["received_size_bytes"] };
}

test("takes what a session left, as often as it is sent, and only before the session begins", async () => {
  await writeLeft(connection.client, "ses_1", left);
  await writeLeft(connection.client, "ses_1", left);
  await writeLeft(connection.client, "ses_1", { ...left, patch: Buffer.alloc(0) });
  await start();
  await writeLeft(connection.client, "ses_1", left);
  expect(await refusal(writeLeft(connection.client, "ses_2", left))).toMatchObject({
    code: Code.FailedPrecondition,
    reason: "SESSION_EXISTS",
  });
});

test("continues nothing that was not sent, or not whole", async () => {
  const missing = { code: Code.FailedPrecondition, reason: "RESTORE_MISSING" };
  expect(await refusal(start())).toMatchObject(missing);
  await writeLeft(connection.client, "ses_2", left);
  expect(await refusal(start())).toMatchObject(missing);
  await write(writeRequests("ses_1", artifactOf(TRANSCRIPT, left.transcript), left.transcript));
  expect(await refusal(start())).toMatchObject(missing);
  await writeLeft(connection.client, "ses_1", NOTHING);
  expect((await start()).session?.id).toBe("ses_1");
});

test.each<[string, Artifact, string]>([
  ["other bytes", artifactOf(PATCH, Buffer.alloc(700_000)), "ARTIFACT_INVALID"],
  ["more bytes", { ...patch, sizeBytes: 600_000n }, "ARTIFACT_INVALID"],
  ["fewer bytes", { ...patch, sizeBytes: 700_001n }, "ARTIFACT_INVALID"],
  ["less than none", { ...patch, sizeBytes: -1n }, "ARTIFACT_INVALID"],
  ["a kind that is none", { ...patch, kind: 77 as Artifact_Kind }, "ARTIFACT_KIND_UNKNOWN"],
])("refuses %s, and takes the right ones after that", async (_name, artifact, reason) => {
  const refused = write(writeRequests("ses_1", artifact, left.patch));
  expect(await refusal(refused)).toMatchObject({ code: Code.InvalidArgument, reason });
  await write(writeRequests("ses_1", patch, left.patch));
});

test("refuses a conversation elsewhere", async () => {
  await writeLeft(connection.client, "ses_1", left);
  expect(await refusal(start("ses_1", "../../etc/passwd"))).toMatchObject({
    code: Code.InvalidArgument,
    reason: "RESTORE_INVALID",
  });
});

test("refuses more than it can hold, before it comes", async () => {
  const artifact = { ...patch, sizeBytes: 257n * 1024n * 1024n };
  expect(await refusal(write(writeRequests("ses_1", artifact, left.patch)))).toMatchObject({
    code: Code.ResourceExhausted,
    reason: "PATCH_TOO_LARGE",
  });
});

test("refuses a stream without a word, and one that does not say what it brings", async () => {
  async function* nothing() {}
  async function* data() {
    yield await Promise.resolve({ data: left.patch.subarray(0, 10) });
  }
  for (const requests of [nothing(), data()]) {
    expect(await refusal(write(requests))).toMatchObject({ code: Code.InvalidArgument, reason: "ARTIFACT_INVALID" });
  }
});

test("goes on where a call was broken off, and says how far it came", async () => {
  const first = rig.connect();
  // Two pieces arrive; the third never does.
  const held = Promise.withResolvers<undefined>();
  async function* half() {
    let count = 0;
    for await (const request of writeRequests("ses_1", patch, left.patch)) {
      if (count++ === 3) await held.promise;
      yield request;
    }
  }
  const broken = first.client.writeArtifact(half());
  broken.catch(() => {});
  const all = left.patch.length;
  const ask = () => refusal(write(writeRequests("ses_1", patch, left.patch, all)));
  await vi.waitFor(async () => expect((await ask()).received).toBe(String(2 * PIECE_BYTES)), { timeout: 10_000 });
  expect(await ask()).toMatchObject({ code: Code.OutOfRange, reason: "OFFSET_INVALID" });
  first[Symbol.dispose]();
  await broken.catch(() => {});
  held.resolve(undefined);
  // Also from before: what is known is passed over.
  await write(writeRequests("ses_1", patch, left.patch, PIECE_BYTES + 5));
  await start();
});

test("a call that another one has taken the place of brings nothing any more", async () => {
  const first = rig.connect();
  const go = Promise.withResolvers<undefined>();
  async function* slow() {
    for await (const request of writeRequests("ses_1", patch, left.patch)) {
      yield request;
      await go.promise;
    }
  }
  const slower = refusal(first.client.writeArtifact(slow()));
  await vi.waitFor(async () => {
    await write(writeRequests("ses_1", patch, left.patch));
  }, 20_000);
  go.resolve(undefined);
  expect((await slower).reason === "CALLER_REPLACED" || (await slower).code === Code.Unknown).toBe(true);
  await start();
});
