import { statSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay, type PerformanceEntry, PerformanceObserver } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import type { SessionEvent } from "../../proto/index.ts";
import { Child } from "./child.ts";
import { emissionTime } from "./emitting-agent.ts";
import { startLoadHost } from "./load-host.ts";
import { cpuMsOf, quantile, waitMsOf } from "./measures.ts";
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
  /** Of that, until an event is stored. The rest is the host's way to its watchers, and theirs. */
  storedP50Ms: number;
  storedP99Ms: number;
  /** How late the host's event loop was, about 1 ms if not at all. */
  hostLoopDelayP99Ms: number;
  hostLoopDelayMaxMs: number;
  hostCpuPercent: number;
  /** Of the time it was ready to run without a processor: what a busy machine adds to every latency. */
  hostWaitPercent: number;
  watchersWaitPercent: number;
  /** The garbage collector's pauses: their share of the time, the longest. */
  hostGcPercent: number;
  hostGcMaxMs: number;
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
  let measuring = false;
  const storedMs: number[] = [];
  const onStored = (events: SessionEvent[]) => {
    for (const { event } of measuring ? events : []) {
      const time = emissionTime(event);
      if (time !== undefined) storedMs.push(Number(process.hrtime.bigint() - time) / 1e6);
    }
  };
  const createAgent = (directory: string) => remoteAgents(join(directory, "agents.sock"));
  const host = stack.use(await startLoadHost(createAgent, { onStored }));
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
  const pauses = watchPauses();
  measuring = true;
  const cpu = process.cpuUsage();
  const wait = waitMsOf(process.pid);
  const watchersWait = waitMsOf(watchers.pid);
  const watchersCpu = cpuMsOf(watchers.pid);
  const loopDelay = monitorEventLoopDelay({ resolution: 1 });
  loopDelay.enable();
  const heapBefore = heapUsed();
  const startMs = performance.now();
  await sleep(seconds * 1000);
  watchers.send("measured");
  measuring = false;
  loopDelay.disable();
  const pausesMs = pauses.take();
  const elapsedMs = performance.now() - startMs;
  const { user, system } = process.cpuUsage(cpu);
  const watchersCpuPercent = ((cpuMsOf(watchers.pid) - watchersCpu) / elapsedMs) * 100;
  const hostWaitPercent = ((waitMsOf(process.pid) - wait) / elapsedMs) * 100;
  const watchersWaitPercent = ((waitMsOf(watchers.pid) - watchersWait) / elapsedMs) * 100;
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
  storedMs.sort((a, b) => a - b);
  return {
    eventsPerSecond: (sorted.length / (watcherCount - stalledCount)) * sessionCount * (1000 / elapsedMs),
    deliveriesPerSecond: (sorted.length * 1000) / elapsedMs,
    p50Ms: quantile(sorted, 0.5),
    p90Ms: quantile(sorted, 0.9),
    p99Ms: quantile(sorted, 0.99),
    p999Ms: quantile(sorted, 0.999),
    maxMs: sorted.at(-1)!,
    storedP50Ms: quantile(storedMs, 0.5),
    storedP99Ms: quantile(storedMs, 0.99),
    hostLoopDelayP99Ms: loopDelay.percentile(99) / 1e6,
    hostLoopDelayMaxMs: loopDelay.max / 1e6,
    hostCpuPercent: (user + system) / 10 / elapsedMs,
    hostWaitPercent,
    watchersWaitPercent,
    hostGcPercent: (pausesMs.reduce((sum, ms) => sum + ms, 0) / elapsedMs) * 100,
    hostGcMaxMs: Math.max(0, ...pausesMs),
    hostRssMiB: rss / MIB,
    hostHeapGrowthMiB: heapGrowth / MIB,
    watchersCpuPercent,
    storeMiB: statSync(join(host.directory, "sessions.db")).size / MIB,
    logMiB: logBytes / MIB,
  };
}

/** Watches for the garbage collector's pauses in this process; `take` ends that and returns them (ms). */
function watchPauses(): { take(): number[] } {
  const pausesMs: number[] = [];
  const add = (list: PerformanceEntry[]) => pausesMs.push(...list.map(({ duration }) => duration));
  const observer = new PerformanceObserver((list) => add(list.getEntries()));
  observer.observe({ entryTypes: ["gc"] });
  return {
    take() {
      add(observer.takeRecords());
      observer.disconnect();
      return pausesMs;
    },
  };
}

function heapUsed(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
