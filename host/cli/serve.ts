import { existsSync } from "node:fs";
import { AppError } from "../../proto/index.ts";
import { isLoopback, parseAddress } from "../address.ts";
import { readToken } from "../bearer-token.ts";
import { audited } from "../callers/audit.ts";
import { onBehalfOf } from "../callers/on-behalf-of.ts";
import { TokenCallers } from "../callers/token-callers.ts";
import type { HostConfig } from "../config/config.ts";
import { createLogger } from "../logger.ts";
import { BoundedLog } from "../bounded-log.ts";
import { removeOtherPrograms } from "../daemon/kept-program.ts";
import { runHost } from "../daemon/host-process.ts";
import { socketPath } from "../daemon/runtime-directory.ts";
import { hostLogPath } from "../daemon/start-host.ts";
import { reportStart } from "../daemon/start-report.ts";
import { type HttpAddress, serveHttp } from "../mcp/http-server.ts";
import { MCPServer } from "../mcp/mcp-server.ts";
import { VERSION } from "../version.ts";
import { type CommandIo, EXIT } from "./command-io.ts";

/** Options of a host: who started it, and where it serves beside its socket. */
export interface ServeOptions {
  /** Whether a front has started it. It ends when idle then, and logs to a file. */
  onDemand: boolean;
  /** Address of the control API on TCP. Undefined: none. */
  tcp?: { host: string; port: number; allowedHosts: readonly string[] };
  /** MCP over HTTP. Undefined: none. */
  mcpHttp?: HttpAddress;
  /** Bearer token that callers on these addresses may share. Undefined: each has one of its own. */
  token?: string;
}

/** Flags of `serve`, as the command line gives them. */
export interface ServeFlags {
  mcpHttp?: string;
  allowHost?: string[];
  listen?: string;
  tokenFile?: string;
  listenAnywhere?: boolean;
  onDemand?: boolean;
}

/**
 * Reads the options from the flags, and the token from its file. Throws ADDRESS_INVALID, ADDRESS_NOT_LOOPBACK,
 * TOKEN_FILE_UNREADABLE, TOKEN_TOO_SHORT.
 */
export async function toServeOptions(flags: ServeFlags): Promise<ServeOptions> {
  const { listen, mcpHttp, allowHost: allowedHosts = [] } = flags;
  const onDemand = flags.onDemand === true;
  if (listen === undefined && mcpHttp === undefined) return { onDemand };
  for (const address of [listen, mcpHttp]) if (address !== undefined) checkAddress(address, flags);
  return {
    onDemand,
    ...(flags.tokenFile && { token: await readToken(flags.tokenFile) }),
    ...(listen !== undefined && {
      tcp: { host: parseAddress(listen).hostname, port: parseAddress(listen).port, allowedHosts },
    }),
    ...(mcpHttp !== undefined && { mcpHttp: { address: mcpHttp, allowedHosts } }),
  };
}

function checkAddress(address: string, { listenAnywhere = false }: ServeFlags): void {
  if (isLoopback(parseAddress(address).hostname) || listenAnywhere) return;
  throw new AppError("ADDRESS_NOT_LOOPBACK", `"${address}" can be reached from other machines.`, {
    help: "Put a TLS proxy in front of 127.0.0.1, or say --listen-anywhere if you mean it.",
  });
}

const NOBODY_YET = "no caller has a token yet: claudecluster token add <name>";

/** Whoever starts a host has made them. That they are gone means that nobody wants it any more. */
function requireDirectories({ runtimeDirectory, stateDirectory }: HostConfig): void {
  const gone = [runtimeDirectory, stateDirectory].find((directory) => !existsSync(directory));
  if (gone === undefined) return;
  throw new AppError("DIRECTORIES_GONE", `${gone} was removed while the host was starting.`, {
    help: "Start it again.",
  });
}

/**
 * Runs the host in this process until a signal comes or somebody asks it to end. A host that was started on demand also ends
 * when idle, and reports its start, or the error, to whoever started it.
 */
export async function serveCommand(
  readConfig: () => HostConfig,
  options: ServeOptions,
  io: CommandIo,
): Promise<number> {
  const { onDemand, tcp, mcpHttp, token } = options;
  try {
    const config = readConfig();
    if (onDemand) requireDirectories(config);
    const log = onDemand ? BoundedLog.open(hostLogPath(config.stateDirectory)) : undefined;
    const logger = createLogger(config.logLevel, log);
    using callers = new TokenCallers({ stateDirectory: config.stateDirectory, shared: token, logger });
    await runHost({
      config,
      logger,
      idleTimeoutMs: onDemand ? config.idleTimeoutMs : undefined,
      ...(tcp !== undefined && { tcp: { ...tcp, callers } }),
      signal: io.signal,
      onReady: async ({ app, tcpPort }) => {
        if (onDemand) removeOtherPrograms(config.stateDirectory);
        if (onDemand) await reportStart();
        else io.stderr.write(`host on ${socketPath(config.runtimeDirectory)}\n`);
        if (tcp !== undefined) io.stderr.write(`control API on ${tcp.host}:${tcpPort}\n`);
        if ((tcp !== undefined || mcpHttp !== undefined) && !callers.any) io.stderr.write(`${NOBODY_YET}\n`);
        if (mcpHttp === undefined) return undefined;
        const http = await serveHttp({
          ...mcpHttp,
          callers,
          onRefused: () => app.audit.refused({ way: "mcp", method: "" }),
          serve: ({ name: caller }) => {
            const audit = { audit: app.audit, caller, way: "mcp" } as const;
            const sessions = audited(onBehalfOf(app.sessions, { caller, logger }), audit);
            const { stateDirectory } = config;
            return new MCPServer({ sessions, version: VERSION, logger, stateDirectory }).httpHandler();
          },
        });
        io.stderr.write(`MCP on ${http.url}\n`);
        return http;
      },
    });
    return EXIT.done;
  } catch (error) {
    if (onDemand) await reportStart(error);
    throw error;
  }
}
