import type { Logger } from "pino";
import { HeldBytes } from "../broker/held-bytes.ts";
import type { TelemetryGatewayOptions } from "../broker/telemetry/telemetry-gateway.ts";
import type { OtlpTarget } from "./otlp-target.ts";

/** Sixteen of the largest bodies; a collector that answers leaves room for hundreds of sessions. */
const MAX_BYTES = 32 * 1024 ** 2;
const MINUTE_MS = 60_000;

/**
 * Returns what takes the telemetry of all sessions' Claude Code to a collector, and the room for it until that has it: 32 MiB. What finds
 * none is logged, a line a minute at most.
 */
export function claudeTelemetry(
  target: Pick<OtlpTarget, "push">,
  { logger, maxBytes = MAX_BYTES }: { logger: Logger; maxBytes?: number },
): Pick<TelemetryGatewayOptions, "push" | "held"> {
  let droppedCount = 0;
  let warnedMs = -Infinity;
  const onFull = () => {
    droppedCount += 1;
    const nowMs = performance.now();
    if (nowMs - warnedMs < MINUTE_MS) return;
    warnedMs = nowMs;
    logger.warn(
      { droppedCount, maxBytes },
      "Claude Code's telemetry was dropped: there is no room until the collector answers",
    );
    droppedCount = 0;
  };
  return { push: (kind, body) => target.push(kind, body), held: new HeldBytes(maxBytes, { onFull }) };
}
