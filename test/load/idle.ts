import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Session_State } from "../../proto/index.ts";
import { Child } from "./child.ts";
import { startLoadHost } from "./load-host.ts";
import { remoteAgents } from "./remote-agent.ts";
import type { WatchersNote, WatchersOrder } from "./watchers-process.ts";

/** What a number of idle sessions costs. */
export interface IdleFigures {
  sessionCount: number;
  createMs: number;
  /** Of the host, after a collection. */
  rssMiB: number;
  heapMiB: number;
  /** Beyond those of a host without a session. */
  rssMiBPerSession: number;
  /** The same, with one watcher each. */
  watchedRssMiBPerSession: number;
  listMs: number;
  /** While nothing happens, with the watchers. */
  hostCpuPercent: number;
}

const MIB = 1024 * 1024;
const SETTLE_MS = 3000;
const IDLE_MS = 10_000;

/** Idle sessions, then listed, then watched. Each step on one host, which grows. */
export async function measureIdle(counts: number[]): Promise<IdleFigures[]> {
  await using stack = new AsyncDisposableStack();
  const host = stack.use(await startLoadHost((directory) => remoteAgents(join(directory, "agents.sock"))));
  const agents = stack.use(
    new Child<never, "ready">("./agents-process.ts", [join(host.directory, "agents.sock"), "0", "0"]),
  );
  await agents.note();
  await settle();
  const empty = process.memoryUsage();
  const figures: IdleFigures[] = [];
  const ids: string[] = [];
  for (const sessionCount of counts) {
    const startMs = performance.now();
    ids.push(...(await host.create(sessionCount - ids.length)));
    const states = [Session_State.RUNNING];
    const running = async () => (await host.sessions.list({ states, pageSize: 1000 })).sessions.length;
    while ((await running()) < sessionCount) await sleep(500);
    const createMs = performance.now() - startMs;
    await settle();
    const memory = process.memoryUsage();
    const listStartMs = performance.now();
    await host.sessions.list({ pageSize: 1000 });
    const listMs = performance.now() - listStartMs;

    const watchers = new Child<WatchersOrder | "stop", WatchersNote>("./watchers-process.ts");
    const { socketPath } = host;
    watchers.send({ socketPath, sessionIds: ids, watcherCount: ids.length, stalledCount: 0, connectionCount: 20 });
    await watchers.note();
    await settle();
    const watched = process.memoryUsage();
    const cpu = process.cpuUsage();
    await sleep(IDLE_MS);
    const { user, system } = process.cpuUsage(cpu);
    await watchers[Symbol.asyncDispose]();
    figures.push({
      sessionCount,
      createMs,
      rssMiB: memory.rss / MIB,
      heapMiB: memory.heapUsed / MIB,
      rssMiBPerSession: (memory.rss - empty.rss) / MIB / sessionCount,
      watchedRssMiBPerSession: (watched.rss - empty.rss) / MIB / sessionCount,
      listMs,
      hostCpuPercent: (user + system) / 10 / IDLE_MS,
    });
  }
  return figures;
}

async function settle(): Promise<void> {
  await sleep(SETTLE_MS);
  globalThis.gc?.();
  await sleep(200);
}
