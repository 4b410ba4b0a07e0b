import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ReadableArtifact, WriteArtifactRequestSchema } from "../../proto/index.ts";
import type { AgentClient } from "../agent-client/agent-connection.ts";
import { agentError } from "../agent-client/agent-error.ts";

/** Session that an artifact is sent for. */
export interface SendArtifactOptions {
  /** Id of the session that is to be started. */
  sessionId: string;
  /** Whether part of it may have come by an earlier connection. The agent is asked how much then. */
  again: boolean;
  signal: AbortSignal;
}

/** Sends an artifact to an agent, or the rest of it after an earlier call broke off. Throws what the agent answers. */
export async function sendArtifact(
  client: AgentClient,
  stored: ReadableArtifact,
  { sessionId, again, signal }: SendArtifactOptions,
): Promise<void> {
  const send = (offset: number) => client.writeArtifact(messages(stored, { sessionId, offset }), { signal });
  const size = Number(stored.artifact.sizeBytes);
  try {
    await send(again ? size : 0);
  } catch (error) {
    const { reason, metadata } = agentError(error);
    const received = Number(metadata["received_size_bytes"]);
    if (!again || reason !== "OFFSET_INVALID" || !(received >= 0 && received < size)) throw error;
    await send(received);
  }
}

async function* messages(
  { artifact, read }: ReadableArtifact,
  { sessionId, offset }: { sessionId: string; offset: number },
): AsyncGenerator<MessageInitShape<typeof WriteArtifactRequestSchema>> {
  yield { start: { sessionId, artifact, offset: BigInt(offset) } };
  for await (const data of read({ offset })) yield { data };
}
