import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type MeteredUsage, type SessionEvent, tokensOf, type Usage } from "../../../proto/index.ts";

/** What a session had used at a time. */
export interface UsagePoint {
  timeMs: number;
  tokens: number;
  costUsd: number;
}

/** A turn has one; more is what a container does that wants the page to grow. */
const MAX_POINTS = 10_000;

/** Use of the model over time: as the host has counted it in its answers, and as Claude Code tells it at the end of turns. */
export class UsageOverTime {
  readonly #counted: UsagePoint[] = [];
  readonly #told: UsagePoint[] = [];

  /** What there is to draw: what the host has counted, where events tell of it. */
  get points(): readonly UsagePoint[] {
    return this.#counted.length > 0 ? this.#counted : this.#told;
  }

  /** Adds the next event of the session. */
  add({ event, occurTime }: SessionEvent): void {
    const timeMs = occurTime === undefined ? 0 : timestampMs(occurTime);
    if (event.case === "modelAnswered" && event.value.usage !== undefined) {
      const { tokens, costUsd } = pointOf(event.value.usage, timeMs);
      const { tokens: before, costUsd: paid } = this.#counted.at(-1) ?? { tokens: 0, costUsd: 0 };
      addPoint(this.#counted, { timeMs, tokens: before + tokens, costUsd: paid + costUsd });
    }
    const told = event.case === "usageUpdated" || event.case === "turnFinished" ? event.value.usage : undefined;
    if (told !== undefined) addPoint(this.#told, pointOf(told, timeMs));
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
