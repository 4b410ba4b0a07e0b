import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { pino } from "pino";
import { WayOut } from "../../host/broker/way-out.ts";
import { HostMetrics } from "../../host/metrics/host-metrics.ts";
import { OtlpTarget } from "../../host/otlp/otlp-target.ts";
import { HostTraces } from "../../host/traces/host-traces.ts";
import { BudgetSchema } from "../../proto/index.ts";
import { Child } from "./child.ts";
import type { LoadHost } from "./load-host.ts";
import { quantile } from "./measures.ts";

/** What it costs a busy host to be looked at: 100 is one processor, medians of windows that take turns. */
export interface ObservedFigures {
  withoutCpuPercent: number;
  withCpuPercent: number;
  costCpuPercent: number;
}

/** Window that is measured, and what is waited for before it (ms). */
const WINDOW_MS = 10_000;
const SETTLE_MS = 2000;
/** More often than is usual: Prometheus asks every 15 s, and a push is made every 60. */
const SCRAPE_MS = 5000;
const PUSH_SECONDS = 10;
/** Pages that are open: each has the feed of all sessions. */
const PAGES = 2;
const HEALTHY = { healthy: true } as never;

/** Time that so many pairs of windows take (ms). */
export function observedMs(pairs: number): number {
  return pairs * 2 * (WINDOW_MS + SETTLE_MS);
}

/** Measures the host's CPU in windows by turns: without, and with metrics that are read and pushed, traces that are pushed, and pages that are open. */
export async function measureObserved(
  host: LoadHost,
  sessionIds: readonly string[],
  pairs: number,
): Promise<ObservedFigures> {
  await using collector = new Child<never, string>("./collector-process.ts");
  const endpoint = await collector.note();
  const without: number[] = [];
  const withAll: number[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    without.push(await cpuPercent());
    await using _observers = observe(host, { endpoint, sessionIds });
    withAll.push(await cpuPercent());
  }
  const [low, high] = [without, withAll].map((all) =>
    quantile(
      all.sort((a, b) => a - b),
      0.5,
    ),
  );
  return { withoutCpuPercent: low!, withCpuPercent: high!, costCpuPercent: high! - low! };
}

async function cpuPercent(): Promise<number> {
  await sleep(SETTLE_MS);
  const [before, startMs] = [process.cpuUsage(), performance.now()];
  await sleep(WINDOW_MS);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 10 / (performance.now() - startMs);
}

/** Looks at the host as its operators do, and more often. Disposing of it ends that. */
function observe(
  { store, sessions, socketPath }: LoadHost,
  { endpoint, sessionIds }: { endpoint: string; sessionIds: readonly string[] },
): AsyncDisposable {
  const stack = new AsyncDisposableStack();
  const logger = pino({ level: "warn" }, pino.destination({ fd: 2, sync: true }));
  const otlp = { endpoint, headers: {}, interval_seconds: PUSH_SECONDS, traces: true, claude: false };
  const target = new OtlpTarget({ otlp, wayOut: new WayOut({}), logger });
  const instanceId = "load";
  const metrics = stack.use(
    HostMetrics.start({
      sessions,
      store,
      traffic: new Set(),
      dailyBudget: create(BudgetSchema),
      engine: () => Promise.resolve(HEALTHY),
      instanceId,
      push: target,
    }),
  );
  stack.use(
    HostTraces.start({
      store,
      resumedSessionIds: sessionIds,
      target,
      version: "0.0.0",
      instanceId,
      logger,
      onDropped: () => {},
    }),
  );
  const scrapes = setInterval(() => void metrics.text(), SCRAPE_MS);
  stack.defer(() => clearInterval(scrapes));
  stack.use(new Child("./lists-process.ts", [socketPath, String(PAGES)]));
  return stack;
}
