import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { AgentService, type RestoreSessionRequestSchema, Session_State as State } from "../../../proto/index.ts";
import { refused } from "../call-failed.ts";
import type { Check } from "../check.ts";

const { method } = AgentService;
const capability = "continuation";
const CHUNK_BYTES = 256 * 1024;
const NEXT = "ses_next";

type Request = MessageInitShape<typeof RestoreSessionRequestSchema>;

/** A session that goes on where another one ended, in another container. */
export const CONTINUATION: readonly Check[] = [
  {
    rule: "A previous_session_id without RestoreSession before is refused: FAILED_PRECONDITION, RESTORE_MISSING.",
    needs: "unused",
    capability,
    async run({ client }) {
      const spec = { task: "Go on.", previousSessionId: "ses_before" };
      const start = client.call(method.startSession, { sessionId: NEXT, spec });
      await refused(start, "FAILED_PRECONDITION", "RESTORE_MISSING");
    },
  },
  {
    rule: "RestoreSession refuses what is not as its first message says: INVALID_ARGUMENT, RESTORE_INVALID.",
    needs: "unused",
    capability,
    async run({ client }) {
      const patch = Buffer.from("a patch");
      const [start, ...data] = restoreRequests({ patch, transcript: Buffer.alloc(0), conversationId: "" });
      const otherHash = { start: { ...start!.start, patchSha256: Buffer.alloc(32) } };
      for (const messages of [[otherHash, ...data], [start!], [start!, ...data, ...data], data, []]) {
        await refused(client.upload(method.restoreSession, messages), "INVALID_ARGUMENT", "RESTORE_INVALID");
      }
    },
  },
  {
    rule: "ReadTranscript sends Claude Code's own transcript once the session has finished; before it is FAILED_PRECONDITION, SESSION_NOT_FINISHED.",
    needs: "own",
    capability,
    async run(bench) {
      await bench.start("[scenario: small-edit] Words of the task.");
      const owner = bench.attach();
      await refused(bench.readTranscript(), "FAILED_PRECONDITION", "SESSION_NOT_FINISHED");
      bench.serve();
      await owner.done;
      const { bytes } = await bench.readTranscript();
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
      const left = {
        conversationId: result!.conversationId,
        patch: (await bench.readChanges()).bytes,
        transcript: (await bench.readTranscript()).bytes,
      };

      const next = await another();
      await next.client.upload(method.restoreSession, restoreRequests(left));
      // By the shell, which knows no paths of the conversation before: an agent may have its workspace elsewhere.
      const task = "[scenario: write-files count=1 via=bash prefix=second] Second.";
      const spec = { task, previousSessionId: id };
      await next.client.call(method.startSession, { sessionId: NEXT, spec });
      const reader = next.attach();
      next.serve();
      await reader.done;
      const kinds = reader.events.map(({ event }) => event.case);
      assert.ok(kinds.indexOf("sessionRestored") < kinds.indexOf("turnStarted"), kinds.join(" "));
      const [restored] = reader.all("sessionRestored");
      assert.equal(restored?.previousSessionId, id);
      assert.equal(restored.patchSizeBytes, BigInt(left.patch.length));
      assert.ok(restored.conversationRestored, restored.conversationFailure?.message);
      const session = await next.getSession();
      assert.equal(session.state, State.SUCCEEDED);
      assert.equal(session.conversationId, left.conversationId, "conversation_id");
      const files = await next.world.apply((await next.readChanges()).bytes, "nothing");
      assert.deepEqual(Object.keys(files).toSorted(), ["NOTES.md", "second-001.txt"]);
      assert.ok(files["NOTES.md"]!.endsWith("- First.\n"), files["NOTES.md"]);
    },
  },
];

/** What RestoreSession is sent. */
function restoreRequests(left: { conversationId: string; patch: Buffer; transcript: Buffer }): Request[] {
  const { conversationId, patch, transcript } = left;
  const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest();
  return [
    {
      start: {
        sessionId: NEXT,
        conversationId,
        patchSizeBytes: BigInt(patch.length),
        patchSha256: sha256(patch),
        transcriptSizeBytes: BigInt(transcript.length),
        transcriptSha256: sha256(transcript),
      },
    },
    ...chunks(patch).map((data) => ({ patch: data })),
    ...chunks(transcript).map((data) => ({ transcript: data })),
  ];
}

function chunks(bytes: Buffer): Buffer[] {
  const count = Math.ceil(bytes.length / CHUNK_BYTES);
  return Array.from({ length: count }, (_, index) => bytes.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES));
}
