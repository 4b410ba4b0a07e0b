import { finished } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { claudeDirectory, readDirectories } from "../directories.ts";
import { ClientPipe } from "../mcp/client-pipe.ts";
import { MCPServer } from "../mcp/mcp-server.ts";
import type { ServerLog } from "../mcp/server-log.ts";
import type { Sessions } from "../session/sessions.ts";
import type { SnapshotReceiver } from "../source/snapshot-sender.ts";
import { readWishDefaults } from "../source/wish-defaults.ts";
import { VERSION } from "../version.ts";
import { type CommandIo, EXIT } from "./command-io.ts";
import { lateLogger } from "./late-logger.ts";

/** A client asks for the tools right after its first answer: the host is connected to behind that (ms). */
const CONNECT_AFTER_MS = 250;
/** Claude Code kills its servers half a second after it has told them to end (ms). */
const LAST_WORDS_MS = 250;

/** Link to the host, as far as the MCP server uses it. */
export interface McpLink {
  sessions: Sessions;
  /** Undefined: the host shares this machine's directories. */
  receiver?: SnapshotReceiver | undefined;
  connect(): Promise<unknown>;
}

/**
 * Serves MCP on standard input and output until the client has gone or a signal comes. Sessions are the host's, and go on.
 * The host is started once the client has its first answer, and an error of that is the first call's.
 */
export async function mcpCommand(link: McpLink, io: CommandIo): Promise<number> {
  const logger = lateLogger(() => createLog(io));
  const defaults = () => readWishDefaults(readDirectories(io.env).configDirectory);
  const server = new MCPServer({
    sessions: link.sessions,
    version: VERSION,
    logger,
    project: {
      // Claude Code says in the variable which project it is in; what it is started in itself may be another directory.
      directory: io.env["CLAUDE_PROJECT_DIR"] || process.cwd(),
      stateDirectory: readDirectories(io.env).stateDirectory,
      receiver: link.receiver,
      defaults,
      claudeDirectory: claudeDirectory(io.env),
      traceParent: io.env["TRACEPARENT"],
    },
  });
  const closed = Promise.withResolvers<undefined>();
  const done = () => closed.resolve(undefined);
  // A client waits for the first answers; for the host waits the first call, whose error it is where none can start.
  const connect = () => {
    link.connect().catch((error: unknown) => logger.warn({ err: error }, "no host yet"));
  };
  let connecting: NodeJS.Timeout | undefined;
  const onAnswer = () => {
    connecting = setTimeout(() => {
      connect();
      // What is loaded late is loaded while it is there: npx's cache may be cleared. What is wrong in the file is the first call's.
      Promise.all([defaults(), logger.load(), server.load()]).catch(() => {});
    }, CONNECT_AFTER_MS);
  };
  const handle = server.serveStdio(new ClientPipe(io, { onAnswer, onClose: done }));
  // Not its "close": Node leaves files and devices open, and all may have ended before.
  finished(io.stdin, { writable: false, signal: io.signal }, done);
  await closed.promise;
  clearTimeout(connecting);
  await handle.close();
  await Promise.race([server.settled(), delay(LAST_WORDS_MS)]);
  return EXIT.done;
}

/** Loads the log. Of a level that is none the host tells when it is started. */
async function createLog({ env }: CommandIo): Promise<ServerLog> {
  const { SETTINGS } = await import("../config/settings.ts");
  const { createLogger } = await import("../logger.ts");
  const { schema, default: usual } = SETTINGS.log_level;
  return createLogger(schema.catch(usual).parse(env["CLAUDECLUSTER_LOG_LEVEL"]));
}
