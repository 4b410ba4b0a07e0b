import { setTimeout as delay } from "node:timers/promises";
import { createLogger } from "../logger.ts";
import type { HostLink } from "../daemon/host-link.ts";
import { MCPServer } from "../mcp/mcp-server.ts";
import { VERSION } from "../version.ts";
import { type CommandIo, EXIT } from "./command-io.ts";

/** Claude Code kills its servers half a second after it has told them to end (ms). */
const LAST_WORDS_MS = 250;

/**
 * Serves MCP on standard input and output until the client has gone or a signal comes. Nothing lives
 * in this process: sessions are the host's, and go on.
 */
export async function mcpCommand(link: HostLink, io: CommandIo): Promise<number> {
  const logger = createLogger(io.env["CLAUDECLUSTER_LOG_LEVEL"] || "warn");
  const server = new MCPServer({ sessions: link.sessions, version: VERSION, logger });
  const closed = Promise.withResolvers<undefined>();
  const done = () => closed.resolve(undefined);
  const handle = server.serveStdio({ onClose: done });
  io.stdin.once("close", done);
  io.signal.addEventListener("abort", done, { once: true });
  // The first call need not wait for it; a host that cannot start is that call's error.
  link.connect().catch((error: unknown) => logger.warn({ err: error }, "no host yet"));
  await closed.promise;
  await handle.close();
  await Promise.race([server.settled(), delay(LAST_WORDS_MS)]);
  return EXIT.done;
}
