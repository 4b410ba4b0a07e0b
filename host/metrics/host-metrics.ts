import { MISSES } from "../containers/miss.ts";
import type { TrafficObserver } from "../broker/traffic.ts";
import type { RuntimeHealth } from "../runtime/runtime.ts";
import type { SessionManager } from "../session/session-manager.ts";
import { leftToday } from "../session/spending.ts";
import type { Budget } from "../../proto/index.ts";
import type { SessionStore } from "../store/session-store.ts";
import { VERSION } from "../version.ts";
import { Meters, type SetMetric } from "./meters.ts";
import type { OtlpTarget } from "../otlp/otlp-target.ts";
import { otlpReader } from "./otlp-push.ts";
import { SessionMetrics } from "./session-metrics.ts";
import { observeTraffic } from "./traffic-metrics.ts";

/** Parts of a host that are looked at. Nothing is asked of them but when metrics are read. */
export interface WatchedHost {
  sessions: Pick<SessionManager, "status">;
  store: Pick<SessionStore, "onStored" | "listSessions" | "usage" | "usedBytes">;
  /** Those who are called with what passes the brokers. */
  traffic: Set<TrafficObserver>;
  dailyBudget: Budget;
  /** Health of the engine, which may be some seconds old. */
  engine: () => Promise<RuntimeHealth>;
  /** Id of this life of the host. */
  instanceId: string;
  /** Where metrics are pushed to, too. Undefined: nowhere. */
  push: OtlpTarget | undefined;
}

/** Metrics of a host. Dispose of them before the host's parts. */
export class HostMetrics implements AsyncDisposable {
  readonly #meters: Meters;
  readonly #parts: Disposable[];

  private constructor(meters: Meters, parts: Disposable[]) {
    this.#meters = meters;
    this.#parts = parts;
  }

  /** Starts to count. */
  static start(host: WatchedHost): HostMetrics {
    const { instanceId, push } = host;
    const readers = push === undefined ? [] : [otlpReader(push)];
    const meters = Meters.start({ version: VERSION, instanceId, readers });
    meters.onRead((set) => setGauges(host, set));
    return new HostMetrics(meters, [SessionMetrics.start(host.store, meters), observeTraffic(host.traffic, meters)]);
  }

  /** Returns all metrics in the text format of Prometheus. */
  text(): Promise<string> {
    return this.#meters.text();
  }

  /** Counts spans that are not pushed. */
  spansDropped(count: number): void {
    this.#meters.add("claudecluster_telemetry_dropped_total", count, { kind: "span" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const part of this.#parts) part[Symbol.dispose]();
    await this.#meters[Symbol.asyncDispose]();
  }
}

async function setGauges({ sessions, store, engine, dailyBudget }: WatchedHost, set: SetMetric): Promise<void> {
  const { queuedCount, maxRunning, removingCount, runtimeProblem, pool } = sessions.status();
  set("claudecluster_queue_length", queuedCount, {});
  if (Number.isFinite(maxRunning)) set("claudecluster_running_limit", maxRunning, {});
  set("claudecluster_containers_removing", removingCount, {});
  set("claudecluster_pool_ready", pool.ready, {});
  set("claudecluster_pool_hits_total", pool.hits, {});
  for (const reason of MISSES) set("claudecluster_pool_misses_total", pool.misses.get(reason) ?? 0, { reason });
  set("claudecluster_store_bytes", store.usedBytes(), {});
  const { usd, tokens, requests } = leftToday(dailyBudget, store.usage);
  if (usd !== undefined) set("claudecluster_daily_budget_left_usd", usd, {});
  if (tokens !== undefined) set("claudecluster_daily_budget_left_tokens", tokens, {});
  if (requests !== undefined) set("claudecluster_daily_budget_left_requests", requests, {});
  const { healthy } = await engine();
  set("claudecluster_engine_up", runtimeProblem === undefined && healthy ? 1 : 0, {});
}
