import { createHash } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { AppError } from "../../proto/index.ts";
import type { AgentClient } from "../agent-client/agent-connection.ts";
import { agentError } from "../agent-client/agent-error.ts";

const MIB = 1024 * 1024;
/** More than this is no patch that anybody reviews; an agent that sends more lies or is broken. */
const MAX_PATCH_BYTES = 256 * MIB;
const MAX_TRANSCRIPT_BYTES = 64 * MIB;

/** Reads a session's whole patch from its agent. */
export async function readPatch(client: AgentClient, sessionId: string, signal: AbortSignal): Promise<Uint8Array> {
  return await readAll((options) => client.readChanges({ sessionId }, options), {
    signal,
    maxBytes: MAX_PATCH_BYTES,
    tooLarge: () =>
      new AppError("PATCH_TOO_LARGE", `The patch is larger than ${MAX_PATCH_BYTES / MIB} MiB.`, {
        help: "Have build output ignored by .gitignore.",
      }),
  });
}

/** Reads the transcript of a session that has finished; empty where the agent has none or does not give one. */
export async function readTranscript(client: AgentClient, sessionId: string, signal: AbortSignal): Promise<Uint8Array> {
  const tooLarge = () => new AppError("TRANSCRIPT_TOO_LARGE", "The transcript is too large.");
  try {
    return await readAll((options) => client.readTranscript({ sessionId }, options), {
      signal,
      maxBytes: MAX_TRANSCRIPT_BYTES,
      tooLarge,
    });
  } catch (error) {
    // An agent from before there were transcripts. Without an ErrorInfo it looks like a lost connection otherwise.
    if (error instanceof ConnectError && error.code === Code.Unimplemented) return new Uint8Array();
    // A session is worth its result without it; only a lost connection is worth another try.
    if (signal.aborted || agentError(error).kind === "UNAVAILABLE") throw error;
    return new Uint8Array();
  }
}

async function readAll(
  call: (options: { signal: AbortSignal }) => AsyncIterable<{ data: Uint8Array; sha256: Uint8Array }>,
  options: { signal: AbortSignal; maxBytes: number; tooLarge: () => AppError },
): Promise<Uint8Array> {
  const abort = new AbortController();
  const chunks: Uint8Array[] = [];
  const hash = createHash("sha256");
  let announced: Uint8Array | undefined;
  let size = 0;
  try {
    for await (const { data, sha256 } of call({ signal: AbortSignal.any([options.signal, abort.signal]) })) {
      size += data.length;
      if (size > options.maxBytes) throw options.tooLarge();
      // The first message says it for all of them.
      announced ??= sha256;
      hash.update(data);
      chunks.push(data);
    }
    if (announced !== undefined && announced.length > 0 && !hash.digest().equals(announced)) throw otherBytes();
    return Buffer.concat(chunks);
  } finally {
    // Leaving the loop does not end the call.
    abort.abort();
  }
}

function otherBytes(): AppError {
  return new AppError("AGENT_INVALID", "The agent sent other bytes than it had announced.", {
    help: "Use an image with an agent that keeps to the contract.",
  });
}
