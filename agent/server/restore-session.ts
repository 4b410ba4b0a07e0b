import { create } from "@bufbuild/protobuf";
import {
  AppError,
  type Artifact,
  Artifact_Kind,
  type ArtifactKind,
  ArtifactSchema,
  type RestoreSessionRequest,
  type RestoreStart,
} from "../../proto/index.ts";
import type { AgentCore } from "../agent-core.ts";
import { requireConversationId } from "../claude/transcript.ts";
import type { ArtifactWriter } from "../session/incoming-artifacts.ts";
import type { CallContext } from "./grpc-service.ts";

const { PATCH, TRANSCRIPT } = Artifact_Kind;

/** Takes the restored state of a session from hosts that are older than WriteArtifact. */
export async function restoreSession(
  core: AgentCore,
  requests: AsyncIterable<RestoreSessionRequest>,
  { signal }: CallContext,
): Promise<Record<string, never>> {
  let writers: { patch: ArtifactWriter; transcript: ArtifactWriter } | undefined;
  for await (const { start, patch, transcript } of requests) {
    writers ??= begin(core, start);
    writers.patch.push(patch);
    writers.transcript.push(transcript);
  }
  signal.throwIfAborted();
  if (writers === undefined) throw startExpected();
  writers.patch.finish();
  writers.transcript.finish();
  return {};
}

function begin(core: AgentCore, start: RestoreStart | undefined) {
  if (start === undefined) throw startExpected();
  const incoming = core.sessions.incoming(start.sessionId);
  incoming.conversationId = requireConversationId(start.conversationId);
  return {
    patch: incoming.begin(PATCH, announced(PATCH, start.patchSizeBytes, start.patchSha256)),
    transcript: incoming.begin(TRANSCRIPT, announced(TRANSCRIPT, start.transcriptSizeBytes, start.transcriptSha256)),
  };
}

function announced(kind: ArtifactKind, sizeBytes: bigint, sha256: Uint8Array): Artifact {
  return create(ArtifactSchema, { kind, sizeBytes, sha256 });
}

function startExpected(): AppError {
  return new AppError("ARTIFACT_INVALID", "The first message of RestoreSession must hold start.");
}
