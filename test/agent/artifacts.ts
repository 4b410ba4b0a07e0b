import { createHash } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import {
  type AgentService,
  type Artifact,
  Artifact_Kind,
  type ArtifactKind,
  ArtifactSchema,
  pieces,
  type WriteArtifactRequestSchema,
} from "../../proto/index.ts";

type AgentClient = Client<typeof AgentService>;

/** What one session has left for another. */
export interface Left {
  readonly conversationId: string;
  readonly patch: Uint8Array;
  readonly transcript: Uint8Array;
}

/** Returns what is said of bytes before they are sent. */
export function artifactOf(kind: ArtifactKind, bytes: Uint8Array): Artifact {
  const sha256 = new Uint8Array(createHash("sha256").update(bytes).digest());
  return create(ArtifactSchema, { kind, sizeBytes: BigInt(bytes.length), sha256 });
}

/** Reads an artifact of the agent's session whole. */
export async function readArtifact(client: AgentClient, kind: ArtifactKind): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const { data } of client.readArtifact({ kind })) chunks.push(data);
  return Buffer.concat(chunks);
}

/** Yields the messages of WriteArtifact. */
export async function* writeRequests(
  sessionId: string,
  artifact: Artifact,
  bytes: Uint8Array,
  offset = 0,
): AsyncGenerator<MessageInitShape<typeof WriteArtifactRequestSchema>> {
  yield { start: { sessionId, artifact, offset: BigInt(offset) } };
  for (const data of pieces(bytes, offset)) yield { data };
}

/** Sends what a session has left to the agent of the one that continues it. */
export async function writeLeft(client: AgentClient, sessionId: string, { patch, transcript }: Left): Promise<void> {
  for (const [kind, bytes] of [
    [Artifact_Kind.PATCH, patch],
    [Artifact_Kind.TRANSCRIPT, transcript],
  ] as const) {
    await client.writeArtifact(writeRequests(sessionId, artifactOf(kind, bytes), bytes));
  }
}
