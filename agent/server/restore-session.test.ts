import { createHash } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { ErrorInfoSchema } from "../../proto/index.ts";
import { startRig } from "../../test/agent/agent-rig.ts";
import { preparingPlace } from "../../test/agent/preparing-place.ts";

const patch = Buffer.alloc(700_000, "p");
const transcript = Buffer.from("{}\n");
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest();
const START = {
  sessionId: "ses_1",
  conversationId: "0b8f1c1e-5f0a-4c5f-9a52-0d8c2f6f3a11",
  patchSizeBytes: 700_000n,
  patchSha256: sha256(patch),
  transcriptSizeBytes: 3n,
  transcriptSha256: sha256(transcript),
};

async function* requests(start: Partial<typeof START>) {
  yield { start: { ...START, ...start } };
  yield { patch: patch.subarray(0, 200_000) };
  yield { patch: patch.subarray(200_000) };
  yield await Promise.resolve({ transcript });
}

test("a host from before WriteArtifact can still have a session continued", async () => {
  const place = preparingPlace();
  await using rig = await startRig({ place });
  const { client } = rig.connect();
  const refusal = async (start: Partial<typeof START>) => {
    const error = ConnectError.from(await client.restoreSession(requests(start)).catch((reason: unknown) => reason));
    return [error.code, error.findDetails(ErrorInfoSchema)[0]?.reason];
  };
  expect(await refusal({ patchSha256: Buffer.alloc(32) })).toEqual([Code.InvalidArgument, "ARTIFACT_INVALID"]);
  expect(await refusal({ conversationId: "../x" })).toEqual([Code.InvalidArgument, "RESTORE_INVALID"]);
  await client.restoreSession(requests({}));
  const spec = { task: "go on", previousSessionId: "ses_0" };
  expect((await client.startSession({ sessionId: "ses_1", spec })).session?.id).toBe("ses_1");
});
