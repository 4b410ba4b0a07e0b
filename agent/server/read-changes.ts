import type { ReadChangesRequest } from "../../proto/index.ts";
import type { AgentCore } from "../agent-core.ts";
import { type ByteChunk, byteChunks } from "./byte-chunks.ts";
import type { CallContext } from "./grpc-service.ts";

/** Streams the patch. */
export async function* readChanges(
  core: AgentCore,
  request: ReadChangesRequest,
  { signal }: CallContext,
): AsyncGenerator<ByteChunk> {
  yield* byteChunks(await core.sessions.require(request.sessionId).readPatch({ signal }));
}
