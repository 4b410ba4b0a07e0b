import { durationMs } from "@bufbuild/protobuf/wkt";
import type { WarmPool } from "../../proto/control.ts";

/** Returns the state of a pool of prepared containers in one line. */
export function warmPoolLine(pool: WarmPool): string {
  const { size, readyCount, makingCount, hitCount, memoryBytes, lastAge } = pool;
  if (size === 0) return "off";
  const misses = Object.entries(pool.missCounts).sort(([, a], [, b]) => b - a);
  const missCount = misses.reduce((sum, [, count]) => sum + count, 0);
  const reasons = misses.map(([reason, count]) => `${reason} ${count}`).join(", ");
  return [
    `${readyCount} of ${size} ready${memoryBytes === 0n ? "" : ` (${Math.round(Number(memoryBytes) / 1024 ** 2)} MiB)`}`,
    ...(makingCount === 0 ? [] : [`${makingCount} being made`]),
    `${hitCount} taken${lastAge === undefined ? "" : `, the last one ${Math.round(durationMs(lastAge) / 1000)} s old`}`,
    ...(missCount === 0 ? [] : [`${missCount} missed: ${reasons}`]),
  ].join("; ");
}

/** Returns the state of a pool of prepared containers as JSON has it. */
export function warmPoolJson(pool: WarmPool): object {
  return {
    size: pool.size,
    ready: pool.readyCount,
    being_made: pool.makingCount,
    hits: pool.hitCount,
    misses: pool.missCounts,
    last_age_seconds: pool.lastAge === undefined ? null : durationMs(pool.lastAge) / 1000,
    memory_bytes: Number(pool.memoryBytes),
  };
}
