import { createHash } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { RestoreSessionRequestSchema } from "../../proto/index.ts";

const CHUNK_BYTES = 256 * 1024;

/** What one session has left for another. */
export interface Left {
  readonly conversationId: string;
  readonly patch: Uint8Array;
  readonly transcript: Uint8Array;
}

/** Yields the messages of RestoreSession. */
export async function* restoreRequests(
  sessionId: string,
  { conversationId, patch, transcript }: Left,
): AsyncGenerator<MessageInitShape<typeof RestoreSessionRequestSchema>> {
  const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();
  yield {
    start: {
      sessionId,
      conversationId,
      patchSizeBytes: BigInt(patch.length),
      patchSha256: sha256(patch),
      transcriptSizeBytes: BigInt(transcript.length),
      transcriptSha256: sha256(transcript),
    },
  };
  for (let at = 0; at < patch.length; at += CHUNK_BYTES) yield { patch: patch.subarray(at, at + CHUNK_BYTES) };
  for (let at = 0; at < transcript.length; at += CHUNK_BYTES) {
    yield { transcript: transcript.subarray(at, at + CHUNK_BYTES) };
  }
}
