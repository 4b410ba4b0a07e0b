import { join } from "node:path";
import { type Logger, pino } from "pino";
import type { HostConfig } from "./config.ts";
import { readHostId } from "./host-id.ts";
import { DockerRuntime } from "./runtime/docker/docker-runtime.ts";
import type { Runtime } from "./runtime/runtime.ts";
import { SessionManager } from "./session/session-manager.ts";
import type { Sessions } from "./session/sessions.ts";
import { pruneRegularly } from "./store/prune-regularly.ts";
import { SqliteStore } from "./store/sqlite-store.ts";

/** The host put together. The only place that names concrete classes. */
export interface App extends AsyncDisposable {
  sessions: Sessions;
  runtime: Runtime;
  logger: Logger;
}

/** Returns a logger; by default to standard error, since standard output belongs to answers and to MCP. */
export function createLogger(level: string, destination?: { write(line: string): void }): Logger {
  return pino({ name: "claudecluster", level }, destination ?? pino.destination({ fd: 2, sync: true }));
}

/** Returns the runtime that the configuration asks for. */
export function createRuntime(config: HostConfig, logger: Logger): Runtime {
  const { stateDirectory, allowWeakLimits } = config;
  return new DockerRuntime({ logger, allowWeakLimits, hostId: readHostId(stateDirectory) });
}

/**
 * Puts the host together. Disposing of it ends all its sessions; where they outlive it, it takes up
 * those that were left in the store, and leaves them when it is disposed of.
 */
export function createApp(
  config: HostConfig,
  logger: Logger,
  { sessionsOutliveIt = false }: { sessionsOutliveIt?: boolean } = {},
): App {
  const runtime = createRuntime(config, logger);
  const store = new SqliteStore(join(config.stateDirectory, "sessions.db"), config.retention);
  const closing = new AbortController();
  const pruning = pruneRegularly(store, { signal: closing.signal, logger });
  const { defaultImage, modelEndpoint, credential, egressAllowed, maxRunning } = config;
  const sessions = new SessionManager({
    runtime,
    store,
    logger,
    defaultImage,
    modelEndpoint,
    credential,
    egressAllowed,
    ...(maxRunning !== undefined && { queue: { maxRunning } }),
  });
  if (sessionsOutliveIt) sessions.resume();
  return {
    sessions,
    runtime,
    logger,
    async [Symbol.asyncDispose]() {
      closing.abort();
      if (sessionsOutliveIt) await sessions.detach();
      await sessions[Symbol.asyncDispose]();
      await runtime[Symbol.asyncDispose]();
      store[Symbol.dispose]();
      await pruning;
    },
  };
}
