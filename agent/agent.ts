import { randomUUID } from "node:crypto";
import type { Duplex } from "node:stream";
import type { Logger } from "./log.ts";
import { AgentService, AppError, type ErrorReason, type PrepareSessionRequest } from "../proto/index.ts";
import type { AgentCore } from "./agent-core.ts";
import type { AgentConfig } from "./config.ts";
import { EXIT_CODES } from "./exit-codes.ts";
import { HostPresence } from "./host-presence.ts";
import { Relay } from "./relay/relay.ts";
import { Seat } from "./seat.ts";
import { agentService } from "./server/agent-service.ts";
import { HealthState } from "./server/health.ts";
import { reflectionServices } from "./server/reflection.ts";
import { RpcServer } from "./server/rpc-server.ts";
import { OnlySession } from "./session/only-session.ts";
import { PreparedClaude } from "./session/prepared-claude.ts";
import { AgentSession } from "./session/session.ts";
import { type SessionPlace, sessionPlace } from "./session/session-place.ts";
import { type Timeouts, TIMEOUTS } from "./timeouts.ts";
import { versionReader } from "./versions.ts";
import { rest } from "./wait.ts";

/** End of an agent, with one of EXIT_CODES. */
export interface AgentExit {
  readonly exitCode: number;
}

/** Running agent. Whoever created it closes it. */
export interface Agent extends AsyncDisposable {
  readonly instanceId: string;
  /** Loopback port for Claude's requests to the model. */
  readonly modelPort: number;
  /** Loopback port of the proxy for everything else. */
  readonly proxyPort: number;
  /** Resolves when the agent has ended, by itself or by `close`. Never rejects. */
  readonly exited: Promise<AgentExit>;
  /** Serves a connection that somebody else has opened: a byte stream with HTTP/2 in it. */
  serve(connection: Duplex): void;
  /** Listens where the configuration says. Returns the TCP port. Undefined: it does not listen on TCP. */
  listen(): Promise<number | undefined>;
  /** Ends the session, ends all calls, and ends the agent. Takes at most `shutdownMs`. */
  close(): Promise<void>;
  /** Ends the agent at once. Nothing is collected. */
  kill(): void;
}

/** Surroundings of an agent. */
export interface AgentOptions {
  log: Logger;
  /** Waits that differ from TIMEOUTS, for tests. */
  timeouts?: Partial<Timeouts>;
  /** Place in which sessions happen. Default: this container, as configured. */
  place?: SessionPlace;
}

/**
 * Starts an agent. It listens for Claude's connections at once, and for callers when `listen` is called. Throws
 * PORT_UNAVAILABLE.
 */
export async function createAgent(config: AgentConfig, options: AgentOptions): Promise<Agent> {
  const { log } = options;
  const timeouts: Timeouts = { ...TIMEOUTS, ...options.timeouts };
  const { modelPort, proxyPort, gitPort } = config;
  const onModelRequest = () => core.sessions.current?.noticeModelRequest();
  const relay = await Relay.listen({
    modelPort,
    proxyPort,
    gitPort,
    takeMs: timeouts.takeConnectionMs,
    keepMs: timeouts.keepConnectionMs,
    onModelRequest,
  });
  const versions = versionReader(config, { timeouts, log });
  const place = options.place ?? sessionPlace({ config, relay, versions, timeouts });
  const presence = HostPresence.watch({ timeoutMs: config.hostAbsenceTimeoutMs, onAbsent: () => void leave() });
  const onChange = (taken: boolean) => presence.change(taken);
  const core: AgentCore = {
    config,
    timeouts,
    relay,
    presence,
    instanceId: randomUUID(),
    versions: () => versions.all(),
    sessions: new OnlySession({
      prepare: (shape) => PreparedClaude.start(shape, { place, log }),
      begin(assignment) {
        log.info({ sessionId: assignment.id }, "session started");
        return AgentSession.start(assignment, { place, timeouts, log });
      },
    }),
    owner: new Seat({ onChange, replaced: () => replaced("OWNER_REPLACED", "Another owner has attached.") }),
    connectionTaker: new Seat({
      onChange,
      replaced: () => replaced("CALLER_REPLACED", "Another caller takes the connections now."),
    }),
  };
  const serviceOptions = {
    onUnexpectedError: (error: unknown, method: string) => log.error({ err: error, method }, "call failed"),
  };
  const health = new HealthState([AgentService]);
  const described = [agentService(core, serviceOptions), health.service(serviceOptions)];
  const reflection = reflectionServices(
    described.map(({ descriptor }) => descriptor),
    serviceOptions,
  );
  const server = new RpcServer({ services: [...described, ...reflection], timeouts });
  const exited = Promise.withResolvers<AgentExit>();
  /** Aborted when the agent ends, for whatever reason. */
  const exiting = new AbortController();
  let absences = 0;
  let closing: Promise<void> | undefined;

  /** Aborted when the session gets no more time to end well. */
  const hurry = new AbortController();

  const close = (exitCode: number): Promise<void> => {
    closing ??= shutDown().then(() => exited.resolve({ exitCode }));
    return closing;
  };

  async function shutDown(): Promise<void> {
    const session = core.sessions.current;
    const awaited = presence.present && session?.over === false;
    presence.close();
    exiting.abort();
    const closed = core.sessions.close();
    health.stopServing();
    const timer = setTimeout(() => hurry.abort(), timeouts.shutdownSessionMs);
    await session?.shutDown({ signal: hurry.signal });
    // A host that was there has seen the end, and asks for the result now.
    if (awaited) await rest(timeouts.shutdownResultMs, hurry.signal);
    clearTimeout(timer);
    await closed;
    await server.close();
    await relay[Symbol.asyncDispose]();
  }

  /**
   * Nobody has been there for long: ends Claude, which costs money, keeps what it left for a host that
   * comes late, and ends the agent if none does.
   */
  async function leave(): Promise<void> {
    const absence = ++absences;
    log.warn({ timeoutMs: config.hostAbsenceTimeoutMs }, "no host is there");
    const session = core.sessions.current;
    session?.stop(`No host was there for ${config.hostAbsenceTimeoutMs / 1000} s.`);
    await session?.finished;
    if (session !== undefined && config.keepTimeoutMs > 0) await rest(config.keepTimeoutMs, exiting.signal);
    // Who came and went meanwhile has begun another absence.
    if (!presence.present && absence === absences) await close(EXIT_CODES.hostAbsent);
  }

  function prepare(request: PrepareSessionRequest): void {
    // A session that finds no Claude starts one.
    core.sessions.prepare(request, { signal: exiting.signal }).catch((error: unknown) => {
      log.info({ err: error }, "no Claude was prepared");
    });
  }

  return {
    instanceId: core.instanceId,
    modelPort: relay.modelPort,
    proxyPort: relay.proxyPort,
    exited: exited.promise,
    serve: (connection) => server.serve(connection),
    async listen() {
      // Claude takes longer until it is ready than a host until it is here.
      if (config.prepare !== undefined) prepare(config.prepare);
      await server.listenUnix(config.socketPath);
      log.info({ socket: config.socketPath, instanceId: core.instanceId }, "listening");
      if (config.listen === undefined) return undefined;
      const port = await server.listenTcp(config.listen);
      log.info({ host: config.listen.host, port }, "listening");
      return port;
    },
    close: () => close(EXIT_CODES.closed),
    kill() {
      hurry.abort();
      void close(EXIT_CODES.failed);
    },
    [Symbol.asyncDispose]: () => close(EXIT_CODES.closed),
  };
}

function replaced(reason: ErrorReason, message: string): AppError {
  return new AppError(reason, message, { kind: "ABORTED" });
}
