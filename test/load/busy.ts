import { statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { SessionEvent } from "../../proto/index.ts";
import { startAgents } from "./agents.ts";
import { Child } from "./child.ts";
import { emissionTime } from "./emitting-agent.ts";
import { startLoadHost } from "./load-host.ts";
import { quantile } from "./measures.ts";
import { measureObserved, type ObservedFigures, observedMs } from "./observed.ts";
import { type Cost, measureCost, sumCosts } from "./process-cost.ts";
import { watchOthers } from "./quiet-seconds.ts";
import { remoteAgents } from "./remote-agent.ts";
import type { WatchersNote, WatchersOrder, WatchersWord } from "./watchers-process.ts";

export interface BusyOptions {
  sessionCount: number;
  eventsPerSecond: number;
  watcherCount: number;
  stalledCount: number;
  listReaderCount: number;
  seconds: number;
  /** Pairs of windows without and with everything that looks at the host; 0: none. */
  observedPairs: number;
}

/** What a run with busy sessions measured. */
export interface BusyFigures {
  eventsPerSecond: number;
  deliveriesPerSecond: number;
  /** From an event's emission in its agent to a watcher. */
  p50Ms: number;
  p90Ms: number;
  p99Ms: number;
  p999Ms: number;
  maxMs: number;
  /** In the seconds in which everything else on the machine took next to nothing: there may be none. */
  quietP50Ms: number;
  quietP99Ms: number;
  quietSeconds: number;
  /** Of that, until it is stored. The rest is the host's way to its watchers, and theirs. */
  storedP50Ms: number;
  storedP99Ms: number;
  hostRssMiB: number;
  /** Of what is in use, after a collection: while watchers stall, against the start. */
  hostHeapGrowthMiB: number;
  storeMiB: number;
  logMiB: number;
  /** What everything else on the machine took: 100 is one processor. With more than a little the latencies are not the host's. */
  othersCpuPercent: number;
  host: Cost;
  agents: Cost;
  watchers: Cost;
  observed: ObservedFigures | undefined;
}

/** The first seconds are those of a program that is being compiled. */
const WARM_UP_MS = 10_000;
/** After the collection before the measurement, which takes long. */
const SETTLE_MS = 2000;
/** The last ones, in which every session ends within a second, are not what is measured either. */
const ENDING_MS = 3000;
/** In as many processes, or the delays of their own loops would be most of what is measured. */
const AGENT_PROCESSES = 5;
const WATCHER_PROCESSES = 8;
const MIB = 1024 * 1024;

/**
 * Sessions that emit at a steady rate, watched over the control API by watchers of which the first ones stall until all is
 * over, beside readers of the list. Throws unless every watcher has seen every event, once and in order.
 */
export async function measureBusy(options: BusyOptions): Promise<BusyFigures> {
  const { sessionCount, eventsPerSecond, watcherCount, stalledCount, listReaderCount, seconds, observedPairs } =
    options;
  await using stack = new AsyncDisposableStack();
  let measuring = false;
  const storedMs: number[] = [];
  const onStored = (events: SessionEvent[]) => {
    for (const { event } of measuring ? events : []) {
      const time = emissionTime(event);
      if (time !== undefined) storedMs.push(Number(process.hrtime.bigint() - time) / 1e6);
    }
  };
  const eventCount = Math.round(
    eventsPerSecond * (seconds + 1 + (WARM_UP_MS + SETTLE_MS + ENDING_MS + observedMs(observedPairs)) / 1000),
  );
  const agents = stack.use(await startAgents(AGENT_PROCESSES, { eventsPerSecond, eventCount }));
  const host = stack.use(await startLoadHost(() => remoteAgents(agents.socketPaths), { onStored }));
  const watchers = Array.from({ length: WATCHER_PROCESSES }, () =>
    stack.use(new Child<WatchersOrder | WatchersWord, WatchersNote>("./watchers-process.ts")),
  );
  const each = (word: WatchersWord) => watchers.forEach((child) => child.send(word));
  const sessionIds = await host.create(sessionCount);
  watchers.forEach((child, place) => {
    const share = (count: number) => Math.floor((count + WATCHER_PROCESSES - 1 - place) / WATCHER_PROCESSES);
    child.send({
      socketPath: host.socketPath,
      sessionIds: Array.from(
        { length: share(watcherCount) },
        (_, index) => sessionIds[(place + index * WATCHER_PROCESSES) % sessionCount]!,
      ),
      stalledCount: share(stalledCount),
      connectionCount: 1,
    });
  });
  const lists = stack.use(new Child("./lists-process.ts", [host.socketPath, String(listReaderCount)]));
  await Promise.all(watchers.map((child) => child.note()));
  await sleep(WARM_UP_MS);

  const heapBefore = heapUsed();
  await sleep(SETTLE_MS);
  each("measure");
  agents.measure();
  measuring = true;
  const cost = measureCost();
  const startMs = performance.now();
  const others = await watchOthers(
    [process.pid, lists.pid, ...agents.pids, ...watchers.map(({ pid }) => pid)],
    seconds,
  );
  const ends = watchers.map((child) => child.note());
  each("measured");
  measuring = false;
  const hostCost = cost.take();
  const elapsedMs = performance.now() - startMs;
  const agentsCost = await agents.measured();
  const rss = process.memoryUsage.rss();
  const heapGrowth = heapUsed() - heapBefore;
  const logBytes = statSync(`${host.storePath}-wal`).size;
  const observed = observedPairs === 0 ? undefined : await measureObserved(host, sessionIds, observedPairs);
  while ((await host.sessions.list({ pageSize: 1000 })).sessions.some(({ endTime }) => endTime === undefined)) {
    await sleep(500);
  }

  each("resume");
  const done = (await Promise.all(ends)).filter((note) => note.case === "done");
  const seen = done.flatMap((note) => note.watchers);
  const wrong = seen.filter((one) => !one.finished || one.gapCount > 0 || one.eventCount < eventCount);
  if (wrong.length > 0 || seen.length < watcherCount) {
    throw new Error(`Watchers have missed events: ${JSON.stringify(wrong.slice(0, 5))}`);
  }
  const latencies = done.flatMap((note) => note.latencies).sort((a, b) => a.ms - b.ms);
  const sorted = latencies.map(({ ms }) => ms);
  const quiet = latencies.filter(({ second }) => others.quiet.has(second)).map(({ ms }) => ms);
  const deliveries = done.reduce((sum, note) => sum + note.eventCount, 0);
  const watchersCost = sumCosts(done.flatMap(({ cost }) => cost ?? []));
  storedMs.sort((a, b) => a - b);
  return {
    eventsPerSecond: (deliveries / (watcherCount - stalledCount)) * sessionCount * (1000 / elapsedMs),
    deliveriesPerSecond: (deliveries * 1000) / elapsedMs,
    p50Ms: quantile(sorted, 0.5),
    p90Ms: quantile(sorted, 0.9),
    p99Ms: quantile(sorted, 0.99),
    p999Ms: quantile(sorted, 0.999),
    maxMs: sorted.at(-1)!,
    quietP50Ms: quantile(quiet, 0.5),
    quietP99Ms: quantile(quiet, 0.99),
    quietSeconds: others.quiet.size,
    storedP50Ms: quantile(storedMs, 0.5),
    storedP99Ms: quantile(storedMs, 0.99),
    hostRssMiB: rss / MIB,
    hostHeapGrowthMiB: heapGrowth / MIB,
    storeMiB: statSync(host.storePath).size / MIB,
    logMiB: logBytes / MIB,
    othersCpuPercent: others.cpuPercent,
    host: hostCost,
    agents: agentsCost,
    watchers: watchersCost,
    observed,
  };
}

function heapUsed(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
