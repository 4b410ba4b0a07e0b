import { AppError } from "../../proto/index.ts";
import type { AgentClient } from "../agent-client/agent-connection.ts";

/** More than this is no patch that anybody reviews; an agent that sends more lies or is broken. */
const MAX_PATCH_BYTES = 256 * 1024 * 1024;

/** Reads a session's whole patch from its agent. */
export async function readPatch(client: AgentClient, sessionId: string, signal: AbortSignal): Promise<Uint8Array> {
  const abort = new AbortController();
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const { data } of client.readChanges(
      { sessionId },
      { signal: AbortSignal.any([signal, abort.signal]) },
    )) {
      size += data.length;
      if (size > MAX_PATCH_BYTES) {
        throw new AppError("PATCH_TOO_LARGE", `The patch is larger than ${MAX_PATCH_BYTES / 1024 / 1024} MiB.`, {
          help: "Have build output ignored by .gitignore.",
        });
      }
      chunks.push(data);
    }
    return Buffer.concat(chunks);
  } finally {
    // Leaving the loop does not end the call.
    abort.abort();
  }
}
