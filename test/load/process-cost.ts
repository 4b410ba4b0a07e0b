import { monitorEventLoopDelay, type PerformanceEntry, PerformanceObserver } from "node:perf_hooks";
import { waitMsOf } from "./measures.ts";

/** What a process has cost for a while, and what kept it from its work. */
export interface Cost {
  /** 100 is one processor. */
  cpuPercent: number;
  /** Of the time its main thread was ready to run without a processor: what a busy machine adds to every latency. */
  waitPercent: number;
  /** How late its event loop was, about 1 ms if not at all. */
  loopDelayP99Ms: number;
  loopDelayMaxMs: number;
  /** The garbage collector's pauses: their share of the time, the longest. */
  gcPercent: number;
  gcMaxMs: number;
}

/** Begins to measure this process; `take` ends that. */
export function measureCost(): { take(): Cost } {
  const pausesMs: number[] = [];
  const add = (list: PerformanceEntry[]) => pausesMs.push(...list.map(({ duration }) => duration));
  const observer = new PerformanceObserver((list) => add(list.getEntries()));
  observer.observe({ entryTypes: ["gc"] });
  const loopDelay = monitorEventLoopDelay({ resolution: 1 });
  loopDelay.enable();
  const [startMs, cpu, waitMs] = [performance.now(), process.cpuUsage(), waitMsOf(process.pid)];
  return {
    take() {
      const elapsedMs = performance.now() - startMs;
      const { user, system } = process.cpuUsage(cpu);
      loopDelay.disable();
      add(observer.takeRecords());
      observer.disconnect();
      return {
        cpuPercent: (user + system) / 10 / elapsedMs,
        waitPercent: ((waitMsOf(process.pid) - waitMs) / elapsedMs) * 100,
        loopDelayP99Ms: loopDelay.percentile(99) / 1e6,
        loopDelayMaxMs: loopDelay.max / 1e6,
        gcPercent: (pausesMs.reduce((sum, ms) => sum + ms, 0) / elapsedMs) * 100,
        gcMaxMs: Math.max(0, ...pausesMs),
      };
    },
  };
}

/** The cost of several processes: the sum of what they take, and the worst of what kept any of them. */
export function sumCosts(costs: readonly Cost[]): Cost {
  const worst = (of: (cost: Cost) => number) => Math.max(...costs.map(of));
  return {
    cpuPercent: costs.reduce((sum, { cpuPercent }) => sum + cpuPercent, 0),
    waitPercent: worst(({ waitPercent }) => waitPercent),
    loopDelayP99Ms: worst(({ loopDelayP99Ms }) => loopDelayP99Ms),
    loopDelayMaxMs: worst(({ loopDelayMaxMs }) => loopDelayMaxMs),
    gcPercent: worst(({ gcPercent }) => gcPercent),
    gcMaxMs: worst(({ gcMaxMs }) => gcMaxMs),
  };
}
