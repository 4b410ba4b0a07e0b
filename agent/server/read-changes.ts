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
  // The end of an attached stream is when these are read.
  using _here = core.presence.stay();
  yield* byteChunks(await core.sessions.require(request.sessionId).readPatch({ signal }));
}
