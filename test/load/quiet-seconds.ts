import { setTimeout as sleep } from "node:timers/promises";
import { cpuMsOf, machineCpuMs } from "./measures.ts";

/** Everything else may take so much of one processor in a second that counts (percent). */
const QUIET_PERCENT = 10;
/** A clock tick of /proc and what starts in between: what is not counted exactly (ms). */
const TICKS_MS = 20;

/** The second that a moment is in, of the machine's clock since its start: the same for all processes. */
export function secondOf(time: bigint): number {
  return Number(time / 1_000_000_000n);
}

/** What the machine did beside some processes. */
export interface Others {
  /** What everything else took: 100 is one processor. */
  cpuPercent: number;
  /** The seconds in which that was next to nothing. */
  quiet: ReadonlySet<number>;
}

/** Looks for so many seconds at what else than these processes takes the machine's processors. */
export async function watchOthers(pids: readonly number[], seconds: number): Promise<Others> {
  const othersMs = () => machineCpuMs() - pids.reduce((sum, pid) => sum + cpuMsOf(pid), 0);
  const untilNext = () => sleep(1000 - Number((process.hrtime.bigint() / 1_000_000n) % 1000n));
  const quiet = new Set<number>();
  await untilNext();
  const firstMs = othersMs();
  let lastMs = firstMs;
  for (let count = 0; count < seconds; count++) {
    const second = secondOf(process.hrtime.bigint());
    await untilNext();
    const nowMs = othersMs();
    if (nowMs - lastMs < QUIET_PERCENT * 10 + TICKS_MS) quiet.add(second);
    lastMs = nowMs;
  }
  return { cpuPercent: (lastMs - firstMs) / 10 / seconds, quiet };
}
