import { createHash } from "node:crypto";
import type { ReadChangesRequest } from "../../proto/index.ts";
import type { AgentCore } from "../agent-core.ts";
import type { CallContext } from "./grpc-service.ts";

const CHUNK_BYTES = 256 * 1024;

/** Streams the patch. The first message has its size and hash, and bytes where there are any. */
export async function* readChanges(
  core: AgentCore,
  request: ReadChangesRequest,
  { signal }: CallContext,
): AsyncGenerator<{ data: Uint8Array; totalSizeBytes?: bigint; sha256?: Uint8Array }> {
  const patch = await core.sessions.require(request.sessionId).readPatch({ signal });
  const sha256 = createHash("sha256").update(patch).digest();
  yield { data: patch.subarray(0, CHUNK_BYTES), totalSizeBytes: BigInt(patch.length), sha256 };
  for (let start = CHUNK_BYTES; start < patch.length; start += CHUNK_BYTES) {
    yield { data: patch.subarray(start, start + CHUNK_BYTES) };
  }
}
