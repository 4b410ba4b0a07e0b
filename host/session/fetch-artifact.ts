import { Code, ConnectError } from "@connectrpc/connect";
import { create } from "@bufbuild/protobuf";
import { AppError, Artifact_Kind, type ArtifactKind, ArtifactSchema } from "../../proto/index.ts";
import type { AgentClient } from "../agent-client/agent-connection.ts";
import { agentError } from "../agent-client/agent-error.ts";
import type { SessionStore, StoredArtifact } from "../store/session-store.ts";
import { isNoRoom } from "./no-room.ts";

export interface ArtifactFetchOptions {
  store: Pick<SessionStore, "createArtifact">;
  sessionId: string;
  kind: ArtifactKind;
}

/** One artifact's way from an agent into the store. It crosses once, however often it is asked for. */
export class ArtifactFetch {
  readonly #options: ArtifactFetchOptions;
  #stored: StoredArtifact | undefined;

  constructor(options: ArtifactFetchOptions) {
    this.#options = options;
  }

  /**
   * Resolves once the artifact is stored. Throws what the agent answers, AGENT_INVALID where its bytes are not those that
   * it has announced, PATCH_TOO_LARGE, TRANSCRIPT_TOO_LARGE, STORE_FAILED.
   */
  async run(client: AgentClient, signal: AbortSignal): Promise<StoredArtifact> {
    this.#stored ??= await this.#fetch(client, signal).catch((error: unknown) => {
      throw error instanceof AppError && error.reason === "ARTIFACT_INVALID" ? agentInvalid(error) : error;
    });
    return this.#stored;
  }

  async #fetch(client: AgentClient, signal: AbortSignal): Promise<StoredArtifact> {
    const { store, sessionId, kind } = this.#options;
    // Leaving the loop does not end the call.
    const over = new AbortController();
    using _call = { [Symbol.dispose]: () => over.abort() };
    const options = { signal: AbortSignal.any([signal, over.signal]) };
    const messages =
      kind === Artifact_Kind.PATCH
        ? client.readChanges({ sessionId }, options)
        : client.readTranscript({ sessionId }, options);
    const iterator = messages[Symbol.asyncIterator]();
    let next = await iterator.next();
    // The first message says it for all of them.
    const { totalSizeBytes: sizeBytes = 0n, sha256 = new Uint8Array() } = next.value ?? {};
    const announced = sha256.length === 0 ? undefined : create(ArtifactSchema, { kind, sizeBytes, sha256 });
    await using incoming = await store.createArtifact(sessionId, kind, announced);
    for (; next.done !== true; next = await iterator.next()) await incoming.append(next.value.data);
    return await incoming.complete();
  }
}

/** Fetches the transcript of a session that has finished; undefined where the agent has none or does not give one. */
export async function fetchTranscript(
  fetch: ArtifactFetch,
  client: AgentClient,
  signal: AbortSignal,
): Promise<StoredArtifact | undefined> {
  try {
    return await fetch.run(client, signal);
  } catch (error) {
    // An agent from before there were transcripts. Without an ErrorInfo it looks like a lost connection otherwise.
    if (error instanceof ConnectError && error.code === Code.Unimplemented) return undefined;
    // A session is worth its result without it; only a lost connection and room are worth another try.
    if (signal.aborted || isNoRoom(error) || agentError(error).kind === "UNAVAILABLE") throw error;
    return undefined;
  }
}

function agentInvalid(cause: AppError): AppError {
  return new AppError("AGENT_INVALID", `The agent sent other bytes than it had announced: ${cause.message}`, {
    help: "Use an image with an agent that keeps to the contract.",
    cause,
  });
}
