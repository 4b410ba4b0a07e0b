import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  isFinal,
  type MeteredUsage,
  type Session,
  type SessionEvent,
  tokensOf,
  type Usage,
} from "../../../proto/index.ts";

/** What a session had used at a time. */
export interface UsagePoint {
  timeMs: number;
  tokens: number;
  costUsd: number;
}

/** A turn has one; more is what a container does that wants the page to grow. */
const MAX_POINTS = 10_000;

/**
 * Use of the model over time: as Claude Code tells it, and as the host has counted it, as far as that was seen. What the
 * host has counted counts.
 */
export class UsageOverTime {
  /** As Claude Code tells it, with its own estimate of the cost. */
  readonly told: UsagePoint[] = [];
  /** As the host has counted it. */
  readonly counted: UsagePoint[] = [];

  /** What there is to draw: what the host has counted, where that was seen more than once. */
  get points(): readonly UsagePoint[] {
    return this.counted.length > 1 ? this.counted : this.told;
  }

  /** Adds the next event of the session. */
  add({ event, occurTime }: SessionEvent): void {
    const usage = event.case === "usageUpdated" || event.case === "turnFinished" ? event.value.usage : undefined;
    if (usage === undefined || occurTime === undefined) return;
    addPoint(this.told, pointOf(usage, timestampMs(occurTime)));
  }

  /** Takes the session as it is at a time: what the host has counted is in no event. */
  look({ state, live, result, endTime }: Session, nowMs: number): void {
    const { meteredUsage } = result ?? live ?? {};
    if (meteredUsage === undefined) return;
    const timeMs = isFinal(state) && endTime !== undefined ? timestampMs(endTime) : nowMs;
    addPoint(this.counted, pointOf(meteredUsage, timeMs));
  }
}

function pointOf(usage: Usage | MeteredUsage, timeMs: number): UsagePoint {
  return { timeMs, tokens: Number(tokensOf(usage)), costUsd: usage.costUsd };
}

function addPoint(points: UsagePoint[], point: UsagePoint): void {
  const last = points.at(-1);
  if (last?.tokens === point.tokens && last.costUsd === point.costUsd) return;
  // The one before is closer than anybody sees.
  if (points.length >= MAX_POINTS) points.pop();
  points.push(point);
}
