import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  AgentService,
  type Artifact,
  Artifact_Kind,
  type ArtifactKind,
  ArtifactSchema,
  pieces,
  Session_State as State,
  type WriteArtifactRequestSchema,
} from "../../../proto/index.ts";
import { requireBytes } from "../bench.ts";
import { refused } from "../call-failed.ts";
import type { Check } from "../check.ts";

const { method } = AgentService;
const { PATCH, TRANSCRIPT } = Artifact_Kind;
const capability = "artifacts";
const NEXT = "ses_next";

type Request = MessageInitShape<typeof WriteArtifactRequestSchema>;

/** A session that goes on where another one ended, in another container. */
export const CONTINUATION: readonly Check[] = [
  {
    rule: "A previous_session_id whose patch has not come is refused: FAILED_PRECONDITION, RESTORE_MISSING.",
    needs: "unused",
    capability,
    async run({ client }) {
      const spec = { task: "Go on.", previousSessionId: "ses_before" };
      const start = client.call(method.startSession, { sessionId: NEXT, spec });
      await refused(start, "FAILED_PRECONDITION", "RESTORE_MISSING");
    },
  },
  {
    rule: "WriteArtifact refuses what is not as its first message says: INVALID_ARGUMENT, ARTIFACT_INVALID.",
    needs: "unused",
    capability,
    async run({ client }) {
      const patch = Buffer.from("a patch");
      const [start, ...data] = writeRequests(PATCH, patch);
      const other = { start: { ...start!.start, artifact: artifactOf(PATCH, Buffer.from("another")) } };
      for (const messages of [[other, ...data], [start!], [start!, ...data, ...data], data, []]) {
        await refused(client.upload(method.writeArtifact, messages), "INVALID_ARGUMENT", "ARTIFACT_INVALID");
      }
    },
  },
  {
    rule: "WriteArtifact goes on from an offset that has come; beyond it is OUT_OF_RANGE, OFFSET_INVALID.",
    needs: "unused",
    capability,
    async run({ client }) {
      const patch = Buffer.from("another patch");
      await refused(
        client.upload(method.writeArtifact, writeRequests(PATCH, patch, 5)),
        "OUT_OF_RANGE",
        "OFFSET_INVALID",
      );
      await client.upload(method.writeArtifact, writeRequests(PATCH, patch));
      await client.upload(method.writeArtifact, writeRequests(PATCH, patch, 5));
      await client.upload(method.writeArtifact, writeRequests(PATCH, patch, patch.length));
    },
  },
  {
    rule: "The transcript is Claude Code's own, once the session has finished; before it is FAILED_PRECONDITION, SESSION_NOT_FINISHED.",
    needs: "own",
    capability,
    async run(bench) {
      await bench.start("[scenario: small-edit] Words of the task.");
      const owner = bench.attach();
      await refused(bench.readArtifact(TRANSCRIPT), "FAILED_PRECONDITION", "SESSION_NOT_FINISHED");
      bench.serve();
      await owner.done;
      const { artifact, bytes } = await bench.readArtifact(TRANSCRIPT);
      requireBytes(artifact, bytes);
      assert.equal((await bench.getSession()).result?.transcriptSizeBytes, BigInt(bytes.length));
      for (const line of bytes.toString().trimEnd().split("\n")) JSON.parse(line);
      assert.ok(bytes.includes("Words of the task."), "the task in the transcript");
    },
  },
  {
    rule: "A session that continues another has its changes and its conversation, and says so with session_restored before its first turn.",
    needs: "own",
    capability,
    async run(bench, another) {
      const { id } = await bench.start("[scenario: small-edit] First.");
      const owner = bench.attach();
      bench.serve();
      await owner.done;
      const { result } = await bench.getSession();
      const { conversationId } = result!;
      const patch = await bench.readPatch();
      const { bytes: transcript } = await bench.readArtifact(TRANSCRIPT);

      const next = await another();
      await next.client.upload(method.writeArtifact, writeRequests(PATCH, patch));
      await next.client.upload(method.writeArtifact, writeRequests(TRANSCRIPT, transcript));
      // By the shell, which knows no paths of the conversation before: an agent may have its workspace elsewhere.
      const task = "[scenario: write-files count=1 via=bash prefix=second] Second.";
      const spec = { task, previousSessionId: id };
      await next.client.call(method.startSession, { sessionId: NEXT, spec, previousConversationId: conversationId });
      const reader = next.attach();
      next.serve();
      await reader.done;
      const kinds = reader.events.map(({ event }) => event.case);
      assert.ok(kinds.indexOf("sessionRestored") < kinds.indexOf("turnStarted"), kinds.join(" "));
      const [restored] = reader.all("sessionRestored");
      assert.equal(restored?.previousSessionId, id);
      assert.equal(restored.patchSizeBytes, BigInt(patch.length));
      assert.ok(restored.conversationRestored, restored.conversationFailure?.message);
      const session = await next.getSession();
      assert.equal(session.state, State.SUCCEEDED);
      assert.equal(session.conversationId, conversationId, "conversation_id");
      const files = await next.world.apply(await next.readPatch(), "nothing");
      assert.deepEqual(Object.keys(files).toSorted(), ["NOTES.md", "second-001.txt"]);
      assert.ok(files["NOTES.md"]!.endsWith("- First.\n"), files["NOTES.md"]);
    },
  },
  {
    rule: "With an after_session_id the session has the other's changes in a conversation of its own.",
    needs: "own",
    capability: "after",
    async run(bench, another) {
      const { id } = await bench.start("[scenario: small-edit] First.");
      bench.serve();
      await bench.attach().done;
      const { conversationId } = (await bench.getSession()).result!;
      const patch = await bench.readPatch();
      const next = await another();
      const spec = { task: "[scenario: write-files count=1 via=bash prefix=second] Second.", afterSessionId: id };
      const start = next.client.call(method.startSession, { sessionId: NEXT, spec });
      await refused(start, "FAILED_PRECONDITION", "RESTORE_MISSING");
      await next.client.upload(method.writeArtifact, writeRequests(PATCH, patch));
      await next.client.call(method.startSession, { sessionId: NEXT, spec });
      const reader = next.attach();
      next.serve();
      await reader.done;
      const [restored] = reader.all("sessionRestored");
      assert.equal(restored?.previousSessionId, id);
      assert.ok(!restored.conversationRestored && restored.conversationFailure === undefined, "conversation");
      const session = await next.getSession();
      assert.equal(session.state, State.SUCCEEDED);
      assert.notEqual(session.conversationId, conversationId, "conversation_id");
      const files = await next.world.apply(await next.readPatch(), "nothing");
      assert.deepEqual(Object.keys(files).toSorted(), ["NOTES.md", "second-001.txt"]);
    },
  },
];

/** What WriteArtifact is sent. */
function writeRequests(kind: ArtifactKind, bytes: Buffer, offset = 0): Request[] {
  const start = { sessionId: NEXT, artifact: artifactOf(kind, bytes), offset: BigInt(offset) };
  return [{ start }, ...[...pieces(bytes, offset)].map((data) => ({ data }))];
}

function artifactOf(kind: ArtifactKind, bytes: Buffer): Artifact {
  const sha256 = createHash("sha256").update(bytes).digest();
  return create(ArtifactSchema, { kind, sizeBytes: BigInt(bytes.length), sha256 });
}
