import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import {
  type Artifact,
  artifactMessages,
  ArtifactSchema,
  type ReadArtifactRequest,
  pieces,
  requireArtifactKind,
} from "../../proto/index.ts";
import type { AgentCore } from "../agent-core.ts";
import type { CallContext } from "./grpc-service.ts";

type Request = Pick<ReadArtifactRequest, "sessionId" | "kind" | "offset">;

/** Streams an artifact of the session: its description, then its bytes. */
export async function* readArtifact(
  core: AgentCore,
  request: Request,
  { signal }: CallContext,
): AsyncGenerator<{ data: Uint8Array; artifact?: Artifact }> {
  // The end of an attached stream is when these are read.
  using _here = core.presence.stay();
  const kind = requireArtifactKind(request.kind);
  const bytes = await core.sessions.require(request.sessionId).readArtifact(kind, { signal });
  const sha256 = createHash("sha256").update(bytes).digest();
  const artifact = create(ArtifactSchema, { kind, sizeBytes: BigInt(bytes.length), sha256 });
  yield* artifactMessages(artifact, request.offset, (offset) => pieces(bytes, offset));
}

/** Streams an artifact in the form of the older calls ReadChanges and ReadTranscript. */
export async function* readWholeArtifact(
  core: AgentCore,
  request: Pick<Request, "sessionId" | "kind">,
  context: CallContext,
): AsyncGenerator<{ data: Uint8Array; totalSizeBytes?: bigint; sha256?: Uint8Array }> {
  for await (const { data, artifact } of readArtifact(core, { ...request, offset: 0n }, context)) {
    yield { data, ...(artifact && { totalSizeBytes: artifact.sizeBytes, sha256: artifact.sha256 }) };
  }
}
