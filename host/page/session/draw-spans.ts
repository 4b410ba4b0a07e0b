import type { Span, SpanKind, Timeline } from "./timeline.ts";

/** Part of a session's time that is shown (ms). */
export interface Window {
  fromMs: number;
  toMs: number;
}

/** Bar of a picture: one span, or several that are too narrow to be told apart. */
export interface Bar {
  kind: SpanKind;
  /** The first of them. */
  span: Span;
  count: number;
  failed: boolean;
  /** Whether it goes on. */
  lasts: boolean;
  /** Row of the picture, from 0. */
  row: number;
  x: number;
  width: number;
}

/** Kinds from the top of a picture to its bottom. */
const ORDER: readonly SpanKind[] = ["phase", "turn", "model", "tool", "wait", "away"];
/** A bar is seen, however short it is (units of the picture). */
const MIN_WIDTH = 2;

/**
 * Returns the bars of a picture that is `width` wide, and the number of its rows. There are never more bars than `width`
 * in a row, however many spans there are.
 */
export function drawSpans(
  timeline: Timeline,
  { fromMs, toMs }: Window,
  { width, nowMs }: { width: number; nowMs: number },
): { bars: Bar[]; rows: { kind: SpanKind; first: number; count: number }[] } {
  const endMs = timeline.endMs(nowMs);
  const scale = width / Math.max(1, toMs - fromMs);
  const rows = rowsOf(timeline);
  const firstRow = new Map(rows.map(({ kind, first }) => [kind, first]));
  const newest = new Map<number, Bar & { untilMs: number }>();
  const bars: Bar[] = [];
  for (const span of timeline.spans) {
    const end = span.endMs ?? endMs;
    if (end < fromMs || span.startMs > toMs) continue;
    const x = Math.max(0, (span.startMs - fromMs) * scale);
    const right = Math.min(width, (end - fromMs) * scale);
    const row = firstRow.get(span.kind)! + span.row;
    const before = newest.get(row);
    const lasts = span.endMs === undefined;
    const narrow = right - x < MIN_WIDTH;
    // They cannot be told apart, or share the last row.
    if (before !== undefined && x < before.x + MIN_WIDTH && (narrow || span.startMs < before.untilMs)) {
      before.count += 1;
      before.failed ||= span.failed;
      before.lasts ||= lasts;
      before.untilMs = Math.max(before.untilMs, end);
      before.width = Math.max(before.width, right - before.x);
      continue;
    }
    const left = Math.min(x, width - MIN_WIDTH);
    const { kind, failed } = span;
    const bar = { kind, span, count: 1, failed, lasts, row, x: left, width: Math.max(MIN_WIDTH, right - left) };
    newest.set(row, { ...bar, untilMs: end });
    bars.push(newest.get(row)!);
  }
  return { bars, rows };
}

function rowsOf({ spans }: Timeline): { kind: SpanKind; first: number; count: number }[] {
  const counts = new Map<SpanKind, number>();
  for (const { kind, row } of spans) counts.set(kind, Math.max(counts.get(kind) ?? 0, row + 1));
  let first = 0;
  return ORDER.filter((kind) => counts.has(kind)).map((kind) => {
    const count = counts.get(kind)!;
    first += count;
    return { kind, first: first - count, count };
  });
}
