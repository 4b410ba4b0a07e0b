import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { WarmPoolSchema } from "../../proto/control.ts";
import type { PoolStatus } from "../containers/pool.ts";

/** Returns a pool's state as callers see it. */
export function toWarmPool(pool: PoolStatus): MessageInitShape<typeof WarmPoolSchema> {
  return {
    size: pool.size,
    readyCount: pool.ready,
    makingCount: pool.beingMade,
    hitCount: pool.hits,
    missCounts: Object.fromEntries(pool.misses),
    ...(pool.lastAgeMs !== undefined && { lastAge: durationFromMs(Math.round(pool.lastAgeMs)) }),
    memoryBytes: BigInt(pool.memoryBytes),
  };
}
