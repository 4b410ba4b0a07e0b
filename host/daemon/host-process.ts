import { randomUUID } from "node:crypto";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Logger } from "pino";
import { AppError, asAppError } from "../../proto/index.ts";
import { type App, createApp } from "../app.ts";
import type { HostConfig } from "../config/config.ts";
import { checkRuntime } from "../control/check-runtime.ts";
import { cached } from "../cached.ts";
import { ControlServer, type TcpAddress } from "../control/control-server.ts";
import type { HostControl } from "../control/host-service.ts";
import { PROTOCOL_VERSION } from "../control/protocol-version.ts";
import type { RuntimeHealth } from "../runtime/runtime.ts";
import { Page } from "../page-server/page.ts";
import type { CallServer } from "../page-server/page-server.ts";
import type { HostMetrics } from "../metrics/host-metrics.ts";
import type { OtlpTarget } from "../otlp/otlp-target.ts";
import { VERSION } from "../version.ts";
import { ExclusiveLock, hostLockPath } from "../exclusive-lock.ts";
import { toWarmPool } from "../control/warm-pool.ts";
import { finishRestore } from "../backup/restore.ts";
import { writeHostAddress } from "./host-address.ts";
import { idleFor } from "./idle-watch.ts";
import { collectOldObjectsSeldom } from "./old-objects.ts";
import { giveUnusedMemoryBack } from "./unused-memory.ts";
import { filesReplaced } from "./replaced-files.ts";
import { makeStateDirectory, tryStateDirectory } from "../state-directory.ts";
import { makeRuntimeDirectory, removeSocket, socketPath } from "./runtime-directory.ts";

/** What the engine is asked at most this often (ms). */
const ENGINE_CHECK_MS = 10_000;
const ENGINE_TIMEOUT_MS = 5_000;

/** Configuration of a host, and when it ends. */
export interface HostProcessOptions {
  config: HostConfig;
  logger: Logger;
  /** Time without a session, a connection or a call after which it ends (ms). Undefined: never. */
  idleTimeoutMs: number | undefined;
  /** Address on TCP to listen on too, for callers with a token. */
  tcp?: TcpAddress;
  /** Called once the host can be reached. What it returns is disposed of before the host ends. */
  onReady(host: { app: App; tcpPort: number | undefined }): Promise<AsyncDisposable | undefined>;
  /** Signal that ends the host in an orderly way. */
  signal: AbortSignal;
}

/**
 * Runs the host in this process, until it is told to end or was idle for long. There is one for each runtime directory
 * and each state directory. Throws HOST_RUNNING.
 */
export async function runHost(options: HostProcessOptions): Promise<void> {
  const { config, logger, idleTimeoutMs, tcp, signal } = options;
  collectOldObjectsSeldom();
  void giveUnusedMemoryBack({ signal });
  makeRuntimeDirectory(config.runtimeDirectory);
  makeStateDirectory(config.stateDirectory);
  using _socketLock = takeLock(config.runtimeDirectory);
  using _stateLock = takeLock(config.stateDirectory);
  await finishRestore(config.stateDirectory);
  await using app = createApp(config, logger);
  const ending = new AbortController();
  // No command needs it: it is loaded by a host alone.
  const { HostMetrics } = await import("../metrics/host-metrics.ts");
  const instanceId = randomUUID();
  const engine = cached(ENGINE_CHECK_MS, () => app.runtime.check({ signal: AbortSignal.timeout(ENGINE_TIMEOUT_MS) }));
  const { otlp: push } = app;
  const { budgets } = config;
  await using metrics = HostMetrics.start({ ...app, dailyBudget: budgets.day, instanceId, engine, push });
  await using _traces = push?.otlp.traces ? await startTraces(app, { push, instanceId, metrics }) : undefined;
  const { sessions, uploads, audit } = app;
  const calls: CallServer = { serve: (...call) => server.serve(...call) };
  await using page = new Page({ address: config.pageAddress, calls, audit, logger });
  const host = hostControl(app, { config, ending, instanceId, engine, metrics, page });
  const { stateDirectory } = config;
  const directories = { source: app.source, stateDirectory };
  await using server = new ControlServer({ sessions, uploads, host, directories, audit, logger });
  const path = socketPath(config.runtimeDirectory);
  // We hold the lock: whoever made it is gone.
  removeSocket(path);
  await server.listenUnix(path);
  writeHostAddress(config.stateDirectory, path);
  const tcpPort = tcp === undefined ? undefined : await server.listenTcp(tcp);
  await using _more = await options.onReady({ app, tcpPort });
  logger.info({ version: VERSION, socket: path, tcpPort }, "host started");
  const over = AbortSignal.any([signal, ending.signal]);
  // Nobody finds it any more, and what it stores is lost: cleared temporary files, a removed directory.
  void filesReplaced([path, hostLockPath(config.stateDirectory)], { signal: over }).then(() =>
    ending.abort(new Error("its socket or its state was removed")),
  );
  const busy = () => server.connectionCount > 0 || page.inUse || app.sessions.status().liveCount > 0;
  await Promise.race([
    new Promise<void>((resolve) => {
      if (over.aborted) resolve();
      else over.addEventListener("abort", () => resolve(), { once: true });
    }),
    ...(idleTimeoutMs === undefined ? [] : [idleFor(idleTimeoutMs, { busy, signal: over })]),
  ]);
  logger.info({ reason: over.aborted ? String((over.reason as Error).message) : "idle" }, "host ends");
  // Stops looking for idleness, whatever it was that ended us.
  ending.abort();
}

async function startTraces(
  { store, resumedSessionIds, logger }: App,
  { push, instanceId, metrics }: { push: OtlpTarget; instanceId: string; metrics: HostMetrics },
): Promise<AsyncDisposable> {
  const { HostTraces } = await import("../traces/host-traces.ts");
  const onDropped = (count: number) => metrics.spansDropped(count);
  return HostTraces.start({ store, resumedSessionIds, target: push, version: VERSION, instanceId, logger, onDropped });
}

function takeLock(directory: string): ExclusiveLock {
  const lock = ExclusiveLock.take(hostLockPath(directory));
  if (lock !== undefined) return lock;
  throw new AppError("HOST_RUNNING", `A host is running that uses ${directory}.`, {
    help: "`claudecluster status` shows it, `claudecluster shutdown` ends it. For a second one set CLAUDECLUSTER_STATE_DIR and CLAUDECLUSTER_RUNTIME_DIR.",
    metadata: { directory },
  });
}

function hostControl(
  { sessions, runtime, credentials, store }: App,
  {
    config,
    ending,
    instanceId,
    engine,
    metrics,
    page,
  }: {
    config: HostConfig;
    ending: AbortController;
    instanceId: string;
    engine: () => Promise<RuntimeHealth>;
    metrics: { text(): Promise<string> };
    page: HostControl["page"];
  },
): HostControl {
  const startTime = timestampFromMs(Date.now());
  return {
    metrics: () => metrics.text(),
    page,
    async info() {
      const health = await engine();
      const { liveCount, queuedCount, maxRunning, removingCount, runtimeProblem, storeProblem, pool } =
        sessions.status();
      const problem = runtimeProblem ?? (health.healthy ? "" : `${health.message} ${health.help}`);
      return {
        hostVersion: VERSION,
        instanceId,
        protocolVersion: PROTOCOL_VERSION,
        startTime,
        liveSessionCount: liveCount,
        queuedSessionCount: queuedCount,
        maxRunningSessionCount: Number.isFinite(maxRunning) ? maxRunning : 0,
        removingContainerCount: removingCount,
        engineHealthy: problem === "",
        engineProblem: problem,
        ...credentialInfo(credentials),
        modelEndpoint: config.modelEndpoint.href,
        stateDirectory: config.stateDirectory,
        storeProblem: storeProblem ?? stateProblem(config.stateDirectory),
        processId: process.pid,
        warmPool: toWarmPool(pool),
      };
    },
    checkRuntime: ({ signal }) => checkRuntime(runtime, { image: config.defaultImage, signal }),
    usage: (filter) => store.usage.report(filter),
    async stop({ onlyWithoutLiveSessions }) {
      const { liveCount: live } = sessions.status();
      if (onlyWithoutLiveSessions && live > 0) {
        throw new AppError("HOST_BUSY", `The host has ${live} live session${live === 1 ? "" : "s"}.`, {
          help: "Wait for them, or stop them.",
          metadata: { live_session_count: String(live) },
        });
      }
      // The answer goes out first.
      setTimeout(() => ending.abort(new Error("a caller asked for it")), 20);
    },
  };
}

/** Why nothing can be written there and what to do; empty where it can. */
function stateProblem(directory: string): string {
  try {
    tryStateDirectory(directory);
    return "";
  } catch (error) {
    return asAppError(error).toSentence();
  }
}

/** What is wrong with it is no reason not to answer. */
function credentialInfo(credentials: App["credentials"]): { credentialKind: string; credentialProblem: string } {
  try {
    return { credentialKind: credentials.kind() ?? "", credentialProblem: "" };
  } catch (error) {
    return { credentialKind: "", credentialProblem: asAppError(error).toSentence() };
  }
}
