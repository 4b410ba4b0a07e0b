import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ErrorInfoSchema } from "../../proto/index.ts";
import { type AgentRig, type Connection, startRig } from "../../test/agent/agent-rig.ts";
import { type PreparingPlace, preparingPlace } from "../../test/agent/preparing-place.ts";
import { type Left, restoreRequests } from "../../test/agent/restore-requests.ts";

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

const restore = (requests: Parameters<Connection["client"]["restoreSession"]>[0]) =>
  connection.client.restoreSession(requests);
const continued = { task: "go on", previousSessionId: "ses_0" };

async function refusal(call: Promise<unknown>): Promise<[Code, string | undefined]> {
  const error = ConnectError.from(await call.then(() => undefined).catch((reason: unknown) => reason));
  return [error.code, error.findDetails(ErrorInfoSchema)[0]?.reason];
}

async function* changed(change: (request: Awaited<ReturnType<typeof first>>) => void) {
  const requests = restoreRequests("ses_1", left);
  const request = await first(requests);
  change(request);
  yield request;
  yield* requests;
}

async function first(requests: ReturnType<typeof restoreRequests>) {
  return (await requests.next()).value as { start: Record<string, unknown> } & Record<string, unknown>;
}

test("takes what a session left, as often as it is sent, and only before the session begins", async () => {
  await restore(restoreRequests("ses_1", left));
  await restore(restoreRequests("ses_1", { ...left, patch: Buffer.alloc(0) }));
  await connection.client.startSession({ sessionId: "ses_1", spec: continued });
  await restore(restoreRequests("ses_1", left));
  expect(await refusal(restore(restoreRequests("ses_2", left)))).toEqual([Code.FailedPrecondition, "SESSION_EXISTS"]);
});

test("continues nothing that was not sent", async () => {
  const start = () => connection.client.startSession({ sessionId: "ses_1", spec: continued });
  expect(await refusal(start())).toEqual([Code.FailedPrecondition, "RESTORE_MISSING"]);
  await restore(restoreRequests("ses_2", left));
  expect(await refusal(start())).toEqual([Code.FailedPrecondition, "RESTORE_MISSING"]);
  await restore(restoreRequests("ses_1", { conversationId: "", patch: Buffer.alloc(0), transcript: Buffer.alloc(0) }));
  expect((await start()).session?.id).toBe("ses_1");
});

test.each<[string, Parameters<typeof changed>[0], string]>([
  ["other bytes", ({ start }) => (start["patchSha256"] = Buffer.alloc(32)), "RESTORE_INVALID"],
  ["more bytes", ({ start }) => (start["patchSizeBytes"] = 600_000n), "RESTORE_INVALID"],
  ["fewer bytes", ({ start }) => (start["transcriptSizeBytes"] = 4n), "RESTORE_INVALID"],
  ["less than none", ({ start }) => (start["patchSizeBytes"] = -1n), "RESTORE_INVALID"],
  ["a conversation elsewhere", ({ start }) => (start["conversationId"] = "../../etc/passwd"), "RESTORE_INVALID"],
  ["an id that is none", ({ start }) => (start["sessionId"] = "a b"), "SESSION_ID_INVALID"],
  ["no beginning", (request) => delete (request as Record<string, unknown>)["start"], "RESTORE_INVALID"],
])("refuses %s", async (_name, change, reason) => {
  expect(await refusal(restore(changed(change)))).toEqual([Code.InvalidArgument, reason]);
});

test("refuses more than it can hold, before it comes", async () => {
  const large = 257n * 1024n * 1024n;
  const refused = restore(changed(({ start }) => (start["patchSizeBytes"] = large)));
  expect(await refusal(refused)).toEqual([Code.ResourceExhausted, "RESTORE_TOO_LARGE"]);
});

test("refuses a stream without a word", async () => {
  async function* nothing() {}
  expect(await refusal(restore(nothing()))).toEqual([Code.InvalidArgument, "RESTORE_INVALID"]);
});
