import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  AppError,
  type Artifact,
  Artifact_Kind,
  type ArtifactKind,
  ArtifactSchema,
  type ReadableArtifact,
  sameArtifact,
} from "../../proto/index.ts";
import type { AgentClient } from "../agent-client/agent-connection.ts";
import { agentError } from "../agent-client/agent-error.ts";
import type { IncomingArtifact, LeftStore } from "../store/session-store.ts";
import { isNoRoom } from "./no-room.ts";

/** Artifact to fetch, and the store that takes it. */
export interface ArtifactFetchOptions {
  /** Store that the artifact goes into. */
  left: Pick<LeftStore, "createArtifact">;
  sessionId: string;
  kind: ArtifactKind;
}

/** A message of ReadArtifact. */
interface Message {
  data: Uint8Array;
  artifact?: Artifact | undefined;
}

/**
 * Fetch of one artifact from an agent into the store. Each byte crosses once: after a lost connection the next one brings
 * the rest. Dispose of it to remove the part of an artifact that has not come whole.
 */
export class ArtifactFetch implements AsyncDisposable {
  readonly #options: ArtifactFetchOptions;
  #announced: Artifact | undefined;
  #incoming: IncomingArtifact | undefined;
  #stored: ReadableArtifact | undefined;
  /** The agent is from before ReadArtifact. */
  #older = false;

  constructor(options: ArtifactFetchOptions) {
    this.#options = options;
  }

  /**
   * Fetches the artifact, and resolves once it is stored. After a lost connection call it again for the rest; after any
   * other error it starts over. Calls must not overlap. Throws what the agent answers, AGENT_INVALID where the bytes are not
   * those that it announced, PATCH_TOO_LARGE, TRANSCRIPT_TOO_LARGE, STORE_FAILED.
   */
  async run(client: AgentClient, signal: AbortSignal): Promise<ReadableArtifact> {
    if (this.#stored !== undefined) return this.#stored;
    try {
      return (this.#stored = await this.#fetch(client, signal));
    } catch (error) {
      if (!this.#older && isUnknownCall(error)) {
        this.#older = true;
        return await this.run(client, signal);
      }
      // Only what a lost connection has brought is worth something: there may be no room, and the rest is not believed.
      if (this.#older || agentError(error).kind !== "UNAVAILABLE") await this[Symbol.asyncDispose]();
      throw error instanceof AppError && error.reason === "ARTIFACT_INVALID" ? otherBytes(error) : error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const incoming = this.#incoming;
    this.#incoming = undefined;
    await incoming?.[Symbol.asyncDispose]();
  }

  async #fetch(client: AgentClient, signal: AbortSignal): Promise<ReadableArtifact> {
    // Leaving the loop does not end the call.
    const over = new AbortController();
    using _call = { [Symbol.dispose]: () => over.abort() };
    let first = true;
    for await (const { data, artifact } of this.#read(client, AbortSignal.any([signal, over.signal]))) {
      if (first) await this.#begin(artifact);
      first = false;
      await this.#incoming!.append(data);
    }
    if (first) await this.#begin(undefined);
    return await this.#incoming!.complete();
  }

  #read(client: AgentClient, signal: AbortSignal): AsyncIterable<Message> {
    const { sessionId, kind } = this.#options;
    if (this.#older) return readFromOlder(client, { sessionId, kind }, signal);
    return client.readArtifact({ sessionId, kind, offset: BigInt(this.#incoming?.sizeBytes ?? 0) }, { signal });
  }

  /** The first message says what comes. */
  async #begin(artifact: Artifact | undefined): Promise<void> {
    const { left, sessionId, kind } = this.#options;
    if (!this.#older && artifact?.kind !== kind) throw agentInvalid("The agent did not say what it sends.");
    if (this.#incoming !== undefined) {
      if (artifact !== undefined && this.#announced !== undefined && sameArtifact(artifact, this.#announced)) return;
      throw agentInvalid("The agent has another artifact than before.");
    }
    this.#announced = artifact;
    this.#incoming = await left.createArtifact(sessionId, kind, artifact);
  }
}

/**
 * Fetches an artifact that a finished session need not have left: transcript or commits. Undefined: the agent has none, or
 * gives none that is valid. Throws only for an abort, a lost connection and want of room.
 */
export async function fetchOptional(
  fetch: ArtifactFetch,
  client: AgentClient,
  signal: AbortSignal,
): Promise<ReadableArtifact | undefined> {
  try {
    return await fetch.run(client, signal);
  } catch (error) {
    // An agent from before there were such artifacts. Without an ErrorInfo it looks like a lost connection otherwise.
    if (isUnknownCall(error)) return undefined;
    // A session is worth its result without it; only a lost connection and room are worth another try.
    if (signal.aborted || isNoRoom(error) || agentError(error).kind === "UNAVAILABLE") throw error;
    return undefined;
  }
}

/** Reads an artifact from an agent whose session was begun by a host from before ReadArtifact. */
async function* readFromOlder(
  client: AgentClient,
  { sessionId, kind }: Pick<ArtifactFetchOptions, "sessionId" | "kind">,
  signal: AbortSignal,
): AsyncGenerator<Message> {
  const messages =
    kind === Artifact_Kind.PATCH
      ? client.readChanges({ sessionId }, { signal })
      : client.readTranscript({ sessionId }, { signal });
  let first = true;
  for await (const { data, totalSizeBytes: sizeBytes, sha256 } of messages) {
    // The oldest ones announce nothing.
    const announced = first && sha256.length > 0;
    first = false;
    yield announced ? { data, artifact: create(ArtifactSchema, { kind, sizeBytes, sha256 }) } : { data };
  }
}

function isUnknownCall(error: unknown): boolean {
  return error instanceof ConnectError && error.code === Code.Unimplemented;
}

function otherBytes(cause: AppError): AppError {
  return agentInvalid(`The agent sent other bytes than it had announced: ${cause.message}`, cause);
}

function agentInvalid(message: string, cause?: AppError): AppError {
  return new AppError("AGENT_INVALID", message, {
    help: "Use an image with an agent that keeps to the contract.",
    cause,
  });
}
