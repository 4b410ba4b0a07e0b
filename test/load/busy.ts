import { statSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { Child } from "./child.ts";
import { startLoadHost } from "./load-host.ts";
import { cpuMsOf, quantile } from "./measures.ts";
import { remoteAgents } from "./remote-agent.ts";
import type { WatchersNote, WatchersOrder } from "./watchers-process.ts";

export interface BusyOptions {
  sessionCount: number;
  eventsPerSecond: number;
  watcherCount: number;
  stalledCount: number;
  seconds: number;
}

/** What a run with busy sessions measured. */
export interface BusyFigures {
  eventsPerSecond: number;
  deliveriesPerSecond: number;
  p50Ms: number;
  p90Ms: number;
  p99Ms: number;
  p999Ms: number;
  maxMs: number;
  /** How late the host's event loop was, about 1 ms if not at all. */
  hostLoopDelayP99Ms: number;
  hostLoopDelayMaxMs: number;
  hostCpuPercent: number;
  hostRssMiB: number;
  /** Of what is in use, after a collection: while watchers stall, against the start. */
  hostHeapGrowthMiB: number;
  watchersCpuPercent: number;
  storeMiB: number;
  logMiB: number;
}

/** The first seconds are those of a program that is being compiled. */
const WARM_UP_MS = 10_000;
/** The last ones, in which every session ends within a second, are not what is measured either. */
const ENDING_MS = 2000;
const CONNECTIONS = 8;
const MIB = 1024 * 1024;

/**
 * Sessions that emit at a steady rate, watched over the control API by watchers of which the first
 * ones stall until all is over. Throws unless every watcher has seen every event, once and in order.
 */
export async function measureBusy(options: BusyOptions): Promise<BusyFigures> {
  const { sessionCount, eventsPerSecond, watcherCount, stalledCount, seconds } = options;
  await using stack = new AsyncDisposableStack();
  const host = stack.use(await startLoadHost((directory) => remoteAgents(join(directory, "agents.sock"))));
  const count = Math.round(eventsPerSecond * (seconds + (WARM_UP_MS + ENDING_MS) / 1000));
  const args = [join(host.directory, "agents.sock"), String(eventsPerSecond), String(count)];
  const agents = stack.use(new Child<never, "ready">("./agents-process.ts", args));
  await agents.note();
  const watchers = stack.use(
    new Child<WatchersOrder | "measure" | "measured" | "resume" | "stop", WatchersNote>("./watchers-process.ts"),
  );
  const sessionIds = await host.create(sessionCount);
  watchers.send({ socketPath: host.socketPath, sessionIds, watcherCount, stalledCount, connectionCount: CONNECTIONS });
  await watchers.note();
  await sleep(WARM_UP_MS);

  watchers.send("measure");
  const cpu = process.cpuUsage();
  const watchersCpu = cpuMsOf(watchers.pid);
  const loopDelay = monitorEventLoopDelay({ resolution: 1 });
  loopDelay.enable();
  const heapBefore = heapUsed();
  const startMs = performance.now();
  await sleep(seconds * 1000);
  watchers.send("measured");
  loopDelay.disable();
  const elapsedMs = performance.now() - startMs;
  const { user, system } = process.cpuUsage(cpu);
  const watchersCpuPercent = ((cpuMsOf(watchers.pid) - watchersCpu) / elapsedMs) * 100;
  const rss = process.memoryUsage.rss();
  const heapGrowth = heapUsed() - heapBefore;
  const logBytes = statSync(join(host.directory, "sessions.db-wal")).size;
  while ((await host.sessions.list({ pageSize: 1000 })).sessions.some(({ endTime }) => endTime === undefined)) {
    await sleep(500);
  }

  watchers.send("resume");
  const done = await watchers.note();
  if (done.case !== "done") throw new Error("The watchers said something else.");
  const wrong = done.watchers.filter((seen) => !seen.finished || seen.gapCount > 0 || seen.eventCount < count);
  if (wrong.length > 0) throw new Error(`Watchers have missed events: ${JSON.stringify(wrong.slice(0, 5))}`);
  const sorted = done.latenciesMs.sort((a, b) => a - b);
  return {
    eventsPerSecond: (sorted.length / (watcherCount - stalledCount)) * sessionCount * (1000 / elapsedMs),
    deliveriesPerSecond: (sorted.length * 1000) / elapsedMs,
    p50Ms: quantile(sorted, 0.5),
    p90Ms: quantile(sorted, 0.9),
    p99Ms: quantile(sorted, 0.99),
    p999Ms: quantile(sorted, 0.999),
    maxMs: sorted.at(-1)!,
    hostLoopDelayP99Ms: loopDelay.percentile(99) / 1e6,
    hostLoopDelayMaxMs: loopDelay.max / 1e6,
    hostCpuPercent: (user + system) / 10 / elapsedMs,
    hostRssMiB: rss / MIB,
    hostHeapGrowthMiB: heapGrowth / MIB,
    watchersCpuPercent,
    storeMiB: statSync(join(host.directory, "sessions.db")).size / MIB,
    logMiB: logBytes / MIB,
  };
}

function heapUsed(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
