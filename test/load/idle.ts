import { setTimeout as sleep } from "node:timers/promises";
import { LIVE_STATES } from "../../host/session/states.ts";
import { Session_State } from "../../proto/index.ts";
import { startAgents } from "./agents.ts";
import { type LoadHost, startLoadHost } from "./load-host.ts";
import { measureCost } from "./process-cost.ts";
import { remoteAgents } from "./remote-agent.ts";

/** What a number of idle sessions costs: they have worked, and wait for a decision; later they have finished. */
export interface IdleFigures {
  sessionCount: number;
  /** Until all of them wait. */
  createMs: number;
  /** Of the host, after a collection. */
  rssMiB: number;
  heapMiB: number;
  /** Of memory, beyond that of a host that has had some sessions already. */
  waitingMiBEach: number;
  /** Of that, what is in use. */
  waitingUsedMiBEach: number;
  listMs: number;
  /** While nothing happens. */
  hostCpuPercent: number;
  finishedMiBEach: number;
  finishedUsedMiBEach: number;
}

const MIB = 1024 * 1024;
/** What the first sessions make the host take it keeps for later ones. */
const WARM_SESSIONS = 100;
/** Longer than what a session has said last is kept for readers that keep up. */
const SETTLE_MS = 25_000;
const IDLE_MS = 10_000;
const AGENT_PROCESSES = 4;
/** What a session says before it waits, so fast. */
const SAID = { eventsPerSecond: 25, eventCount: 100, waits: true };
/** So many work at once, and end at once: a rush of all of them leaves memory taken that has nothing to do with their number. */
const AT_ONCE = 50;

/** Measures each number of idle sessions on a host of its own. */
export async function measureIdle(counts: number[]): Promise<IdleFigures[]> {
  const figures: IdleFigures[] = [];
  for (const sessionCount of counts) figures.push(await measureOne(sessionCount));
  return figures;
}

async function measureOne(sessionCount: number): Promise<IdleFigures> {
  await using stack = new AsyncDisposableStack();
  const agents = stack.use(await startAgents(AGENT_PROCESSES, SAID));
  const host = stack.use(await startLoadHost(() => remoteAgents(agents.socketPaths)));
  await stop(host, await createWaiting(host, WARM_SESSIONS));
  const empty = await settled();
  const beyond = (memory: Memory, what: keyof Memory) => (memory[what] - empty[what]) / MIB / sessionCount;

  const startMs = performance.now();
  const ids = await createWaiting(host, sessionCount);
  const createMs = performance.now() - startMs;
  const waiting = await settled();
  const listStartMs = performance.now();
  await host.sessions.list({ pageSize: 1000 });
  const listMs = performance.now() - listStartMs;

  const cost = measureCost();
  await sleep(IDLE_MS);
  const { cpuPercent } = cost.take();
  await stop(host, ids);
  const finished = await settled();
  return {
    sessionCount,
    createMs,
    rssMiB: waiting.rss / MIB,
    heapMiB: waiting.heap / MIB,
    waitingMiBEach: beyond(waiting, "rss"),
    waitingUsedMiBEach: beyond(waiting, "used"),
    listMs,
    hostCpuPercent: cpuPercent,
    finishedMiBEach: beyond(finished, "rss"),
    finishedUsedMiBEach: beyond(finished, "used"),
  };
}

/** Creates sessions and returns their ids once they wait. */
async function createWaiting(host: LoadHost, count: number): Promise<string[]> {
  const ids: string[] = [];
  while (ids.length < count) {
    ids.push(...(await host.create(Math.min(AT_ONCE, count - ids.length))));
    await until(host, [Session_State.WAITING], (waiting) => waiting === ids.length);
  }
  return ids;
}

async function stop(host: LoadHost, ids: readonly string[]): Promise<void> {
  for (let start = 0; start < ids.length; start += AT_ONCE) {
    const stopped = ids.slice(start, start + AT_ONCE);
    await Promise.all(stopped.map((id) => host.sessions.stop(id, { reason: "measured" })));
    await until(host, LIVE_STATES, (live) => live === ids.length - start - stopped.length);
  }
}

async function until(
  { sessions }: LoadHost,
  states: readonly Session_State[],
  reached: (count: number) => boolean,
): Promise<void> {
  const count = async () => (await sessions.list({ states, pageSize: 1000 })).sessions.length;
  while (!reached(await count())) await sleep(500);
}

interface Memory {
  rss: number;
  heap: number;
  used: number;
}

async function settled(): Promise<Memory> {
  await sleep(SETTLE_MS);
  // The second one takes what the first one has finalized.
  for (let time = 0; time < 2; time++) {
    globalThis.gc?.();
    await sleep(200);
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, heap: heapUsed, used: heapUsed + external };
}
