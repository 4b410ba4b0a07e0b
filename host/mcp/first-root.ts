import { fileURLToPath } from "node:url";
import type { McpServer } from "@modelcontextprotocol/server";

/** The first directory that a client says it works in. Undefined: it says none, or in a way that is not understood here. */
export async function firstRoot(
  { server }: McpServer,
  { signal }: { signal: AbortSignal },
): Promise<string | undefined> {
  if (server.getClientCapabilities()?.roots === undefined) return undefined;
  try {
    const { roots } = await server.listRoots(undefined, { signal, timeout: TIMEOUT_MS });
    const uri = roots[0]?.uri;
    return uri?.startsWith("file://") === true ? fileURLToPath(uri) : undefined;
  } catch {
    // In newer revisions of the protocol a server cannot ask.
    signal.throwIfAborted();
    return undefined;
  }
}

/** A client that offers roots answers at once. */
const TIMEOUT_MS = 5_000;
