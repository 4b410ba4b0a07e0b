import { pino } from "pino";
import type { QueueLimits } from "../../host/containers/container-queue.ts";
import { Containers } from "../../host/containers/containers.ts";
import type { Runtime } from "../../host/runtime/runtime.ts";
import type { SessionManagerOptions } from "../../host/session/session-manager.ts";
import type { SessionStore } from "../../host/store/session-store.ts";
import { NO_GIT_CREDENTIALS } from "./no-git-credentials.ts";
import { NO_SNAPSHOTS } from "./no-snapshots.ts";
import { openModel } from "./open-model.ts";

/** The containers of a runtime, for the sessions of a store. Whoever starts them disposes of them. */
export function startContainers(
  runtime: Runtime,
  store: SessionStore,
  limits: Partial<QueueLimits> = { maxRunning: Infinity, maxMemoryBytes: Infinity },
): Containers {
  return Containers.start({
    runtime,
    handles: () => store.liveContainerRefs(),
    limits,
    logger: pino({ level: "silent" }),
  });
}

/** What a session manager is given beside its containers and its store, where nothing outside of it is reached. */
export function managerOptions(): Omit<SessionManagerOptions, "containers" | "store"> {
  return {
    defaultImage: "agent:test",
    setups: new Map(),
    model: openModel("http://127.0.0.1:9"),
    git: NO_GIT_CREDENTIALS,
    snapshots: NO_SNAPSHOTS,
    egress: { mode: "none", allowed: [], allowedPrivate: [] },
    logger: pino({ level: "silent" }),
  };
}
