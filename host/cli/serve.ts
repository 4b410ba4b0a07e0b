import { AppError } from "../../proto/index.ts";
import { isLoopback, parseAddress } from "../address.ts";
import { readToken } from "../bearer-token.ts";
import type { HostConfig } from "../config.ts";
import { createLogger } from "../app.ts";
import { BoundedLog } from "../daemon/bounded-log.ts";
import { runHost } from "../daemon/host-process.ts";
import { socketPath } from "../daemon/runtime-directory.ts";
import { hostLogPath } from "../daemon/start-host.ts";
import { reportStart } from "../daemon/start-report.ts";
import { type CommandIo, EXIT } from "./command-io.ts";

export interface ServeOptions {
  /** Started by a front: ends when idle, and logs to a file. */
  onDemand: boolean;
  tcp?: { host: string; port: number; token: string };
}

/** The options as they are given on the command line. */
export interface ServeFlags {
  listen?: string;
  tokenFile?: string;
  listenAnywhere?: boolean;
  onDemand?: boolean;
}

/** Reads the options. Throws INVALID_ARGUMENT for an address that is none or not loopback, and for a missing token. */
export async function toServeOptions({ listen, tokenFile, ...flags }: ServeFlags): Promise<ServeOptions> {
  const onDemand = flags.onDemand === true;
  if (listen === undefined) return { onDemand };
  const { hostname, port } = parseAddress(listen);
  if (!isLoopback(hostname) && flags.listenAnywhere !== true) {
    throw new AppError("ADDRESS_NOT_LOOPBACK", `"${listen}" can be reached from other machines.`, {
      kind: "INVALID_ARGUMENT",
      help: "Put a TLS proxy in front of 127.0.0.1, or say --listen-anywhere if you mean it.",
    });
  }
  if (tokenFile === undefined) {
    throw new AppError("TOKEN_FILE_MISSING", "The control API on TCP needs a bearer token.", {
      kind: "INVALID_ARGUMENT",
      help: "Make one (openssl rand -hex 32 > token; chmod 600 token) and pass --token-file token.",
    });
  }
  return { onDemand, tcp: { host: hostname, port, token: await readToken(tokenFile) } };
}

/** Is the host until a signal comes, somebody asks it to end, or, started on demand, it has nothing to do. */
export async function serveCommand(
  readConfig: () => HostConfig,
  options: ServeOptions,
  io: CommandIo,
): Promise<number> {
  const { onDemand, tcp } = options;
  try {
    const config = readConfig();
    const log = onDemand ? new BoundedLog(hostLogPath(config.stateDirectory)) : undefined;
    await runHost({
      config,
      logger: createLogger(config.logLevel, log),
      idleTimeoutMs: onDemand ? config.idleTimeoutMs : undefined,
      ...(tcp !== undefined && { tcp }),
      signal: io.signal,
      onReady: async ({ tcpPort }) => {
        if (onDemand) await reportStart();
        else io.stderr.write(`host on ${socketPath(config.runtimeDirectory)}\n`);
        if (tcp !== undefined) io.stderr.write(`control API on ${tcp.host}:${tcpPort}\n`);
        return undefined;
      },
    });
    return EXIT.done;
  } catch (error) {
    if (onDemand) await reportStart(error);
    throw error;
  }
}
