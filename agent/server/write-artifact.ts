import {
  AppError,
  requireArtifactKind,
  type WriteArtifactRequest,
  type WriteArtifactStart,
} from "../../proto/index.ts";
import type { AgentCore } from "../agent-core.ts";
import type { ArtifactWriter } from "../session/incoming-artifacts.ts";
import type { CallContext } from "./grpc-service.ts";

/** Takes an artifact for the session to come. What came with a call that broke off is kept for the next one. */
export async function writeArtifact(
  core: AgentCore,
  requests: AsyncIterable<WriteArtifactRequest>,
  { signal }: CallContext,
): Promise<Record<string, never>> {
  let writer: ArtifactWriter | undefined;
  for await (const { start, data } of requests) {
    writer ??= begin(core, start);
    writer.push(data);
  }
  signal.throwIfAborted();
  if (writer === undefined) throw startExpected();
  writer.finish();
  return {};
}

function begin(core: AgentCore, start: WriteArtifactStart | undefined): ArtifactWriter {
  if (start?.artifact === undefined) throw startExpected();
  const { sessionId, artifact, offset } = start;
  return core.sessions.incoming(sessionId).begin(requireArtifactKind(artifact.kind), artifact, offset);
}

function startExpected(): AppError {
  return new AppError("ARTIFACT_INVALID", "The first message of WriteArtifact must hold start, and that an artifact.");
}
