import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import type { TrafficObserver } from "./broker/traffic.ts";
import { WayOut } from "./broker/way-out.ts";
import { type Audit, AuditLog } from "./callers/audit.ts";
import type { HostConfig } from "./config/config.ts";
import { ConfiguredCredential } from "./config/configured-credential.ts";
import { ConfiguredGitCredential } from "./config/configured-git-credential.ts";
import { BUILD_SCRIPT, buildAgentImage } from "./containers/build-image.ts";
import { Containers } from "./containers/containers.ts";
import { OwnImage } from "./containers/own-image.ts";
import { notifyOfSessions } from "./daemon/notifier.ts";
import { claudeDirectory, homeDirectory } from "./directories.ts";
import { claudeTelemetry } from "./otlp/claude-telemetry.ts";
import { OtlpTarget } from "./otlp/otlp-target.ts";
import { readHostId } from "./host-id.ts";
import { DockerRuntime } from "./runtime/docker/docker-runtime.ts";
import type { Runtime } from "./runtime/runtime.ts";
import { SessionManager } from "./session/session-manager.ts";
import { SnapshotStores, storesDirectory } from "./snapshots/snapshot-stores.ts";
import type { SnapshotUploads } from "./snapshots/snapshot-uploads.ts";
import { StartSupplies } from "./snapshots/start-supplies.ts";
import { LocalSource } from "./source/local-source.ts";
import type { RepositorySource } from "./source/repository-source.ts";
import { readWishDefaults } from "./source/wish-defaults.ts";
import { pruneRegularly } from "./store/prune-regularly.ts";
import type { SessionStore } from "./store/session-store.ts";
import { SqliteStore } from "./store/sqlite-store.ts";

/** Host put together from its concrete classes. Whoever creates it disposes of it. */
export interface App extends AsyncDisposable {
  sessions: SessionManager;
  uploads: SnapshotUploads;
  /** Returns the source of what goes into sessions of this machine's directories. Throws HOME_UNKNOWN. */
  source: () => RepositorySource;
  runtime: Runtime;
  store: SessionStore;
  /** Sessions that an earlier host left. */
  resumedSessionIds: readonly string[];
  /** Those who are called with what passes the brokers. */
  traffic: Set<TrafficObserver>;
  credentials: ConfiguredCredential;
  /** Collector that is pushed to. Undefined: none is. */
  otlp: OtlpTarget | undefined;
  /** Record of who did what over TCP. */
  audit: Audit;
  logger: Logger;
}

/** Creates the runtime that the configuration asks for. Without a host's id it is for looking only. The caller disposes of it. */
export function createRuntime(
  { hostId, allowWeakLimits }: { hostId: string | undefined; allowWeakLimits: boolean },
  logger: Logger,
): Runtime {
  return new DockerRuntime({ logger, allowWeakLimits, ...(hostId !== undefined && { hostId }) });
}

/** As programs take them; they may hold a password, which no command line shows. */
function proxiesOf({ wayOut: { httpsProxy, httpProxy, noProxy } }: HostConfig): Record<string, string> {
  return {
    ...(httpsProxy !== undefined && { https_proxy: httpsProxy.href }),
    ...(httpProxy !== undefined && { http_proxy: httpProxy.href }),
    ...(noProxy !== undefined && { no_proxy: noProxy.join(",") }),
  };
}

/**
 * Creates the host: it resumes the sessions that were left in the store, and leaves those that have not finished for the
 * next one when it is disposed of. Throws what readHostId and opening the store throw.
 */
export function createApp(config: HostConfig, logger: Logger): App {
  const { stateDirectory, allowWeakLimits } = config;
  const runtime = createRuntime({ hostId: readHostId(stateDirectory), allowWeakLimits }, logger);
  const store = SqliteStore.open(join(config.stateDirectory, "sessions.db"), config.retention);
  const closing = new AbortController();
  const pruning = pruneRegularly(store, { signal: closing.signal, logger });
  const { defaultImage, modelEndpoint, modelPolicy: policy, fallbackModel, budgets } = config;
  const wayOut = new WayOut(config.wayOut);
  const { gitRepositories, gitPushRefs, egress, maxEgressBytes, maxRunning, configDirectory, environmentCredential } =
    config;
  const endpoint = config.endpointFromEnvironment ? undefined : modelEndpoint;
  const credentials = new ConfiguredCredential({ configDirectory, environmentCredential, endpoint });
  const images = new OwnImage({
    runtime,
    build: (image) => buildAgentImage({ ...image, base: config.baseImage, proxies: proxiesOf(config) }),
  });
  const containers = Containers.start({
    runtime,
    // The host's own image carries nothing to build one with.
    ...(existsSync(BUILD_SCRIPT) && { images }),
    handles: () => store.liveContainerRefs(),
    limits: maxRunning === undefined ? {} : { maxRunning },
    warm: config.warm,
    logger,
  });
  const stores = storesDirectory(stateDirectory);
  const { supplies } = runtime;
  const startSupplies = supplies && new StartSupplies({ storesDirectory: stores, supplies, logger });
  const snapshots = new SnapshotStores(stores, { supplies: startSupplies });
  const sweeping = snapshots.sweepRegularly((id) => store.getSession(id) !== undefined, {
    signal: closing.signal,
    logger,
  });
  const traffic = new Set<TrafficObserver>();
  const otlp = config.otlp && new OtlpTarget({ otlp: config.otlp, wayOut, logger });
  const sessions = SessionManager.open({
    containers,
    store,
    snapshots,
    logger,
    defaultImage,
    model: { endpoint: modelEndpoint, credentials, policy, fallbackModel, budgets },
    git: {
      credentials: new ConfiguredGitCredential({ configDirectory }),
      repositories: gitRepositories,
      pushRefs: gitPushRefs,
    },
    setups: config.setups,
    egress,
    wayOut,
    maxEgressBytes,
    ...(otlp?.otlp.claude && { telemetry: claudeTelemetry(otlp, { logger }) }),
    onTraffic: (fact) => {
      for (const observe of traffic) observe(fact);
    },
  });
  const resumedSessionIds = store.liveSessionIds();
  sessions.resume();
  const { notify } = config;
  const { signal } = closing;
  const notifying = notify && notifyOfSessions(sessions, { notify, wayOut, logger, signal });
  return {
    sessions,
    uploads: snapshots.uploads,
    // Asked for when it is used: a host that nobody gives a directory needs no home.
    source: () =>
      new LocalSource({
        stateDirectory,
        home: homeDirectory(process.env),
        claudeDirectory: claudeDirectory(process.env),
        defaults: () => readWishDefaults(config.configDirectory),
      }),
    runtime,
    store,
    resumedSessionIds,
    traffic,
    otlp,
    credentials,
    audit: new AuditLog(stateDirectory),
    logger,
    async [Symbol.asyncDispose]() {
      closing.abort();
      images[Symbol.dispose]();
      await notifying;
      await sessions.detach();
      await startSupplies?.[Symbol.asyncDispose]();
      await containers[Symbol.asyncDispose]();
      await runtime[Symbol.asyncDispose]();
      store[Symbol.dispose]();
      await Promise.all([pruning, sweeping]);
    },
  };
}
