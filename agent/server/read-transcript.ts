import type { ReadTranscriptRequest } from "../../proto/index.ts";
import type { AgentCore } from "../agent-core.ts";
import { type ByteChunk, byteChunks } from "./byte-chunks.ts";

/** Streams the transcript of the conversation. */
export async function* readTranscript(core: AgentCore, request: ReadTranscriptRequest): AsyncGenerator<ByteChunk> {
  using _here = core.presence.stay();
  yield* byteChunks(core.sessions.require(request.sessionId).transcript());
}
