import type { Span, Timeline } from "./timeline.ts";

/** Time that a session has spent on one thing. */
export interface TimeSpent {
  /** Whether the name is ours, or the container's. */
  of: Span["kind"] | "claude";
  name: string;
  /** When it was first so, from the session's start (ms). */
  fromMs: number;
  /** Sum, what overlaps counted once (ms). */
  totalMs: number;
  /** How often. */
  count: number;
  /** The longest one (ms). */
  longestMs: number;
  /** Whether it goes on. */
  lasts: boolean;
}

/** Most tools that are told one by one; the others are told together. */
const MAX_TOOLS = 20;

/**
 * Returns where a session's time went: each phase, each turn, and of the turns what tools, the model and waiting for people
 * took, and what is left. Where the model's answers are not told one by one, they are in what is left.
 */
export function timeSpent(timeline: Timeline, nowMs: number): TimeSpent[] {
  const endMs = timeline.endMs(nowMs);
  const of = (...kinds: Span["kind"][]) => timeline.spans.filter(({ kind }) => kinds.includes(kind));
  const sum = (what: TimeSpent["of"], name: string, spans: readonly Span[]): TimeSpent => ({
    of: what,
    name,
    fromMs: (spans[0]?.startMs ?? timeline.startMs) - timeline.startMs,
    totalMs: covered(spans, endMs),
    count: spans.length,
    longestMs: spans.reduce((longest, span) => Math.max(longest, lengthOf(span, endMs)), 0),
    lasts: spans.some((span) => span.endMs === undefined),
  });
  const [turns, tools, waits, away] = [of("turn"), of("tool"), of("wait"), of("away")];
  // They are told when they end.
  const answers = of("model").sort(byStart);
  const byTool = Map.groupBy(tools, ({ name }) => name);
  const named = [...byTool].slice(0, MAX_TOOLS).map(([name, spans]) => sum("tool", name, spans));
  const rest = [...byTool.values()].slice(MAX_TOOLS).flat();
  const inTurns = covered(turns, endMs);
  const restMs = Math.max(0, inTurns - covered([...tools, ...waits, ...answers].sort(byStart), endMs));
  const restName = answers.length > 0 ? "Claude itself" : "Claude and its model";
  return [
    ...of("phase").map((span) => sum("phase", span.name, [span])),
    ...turns.map((span) => sum("turn", span.name, [span])),
    ...named,
    ...(rest.length > 0 ? [sum("tool", "other tools", rest.sort(byStart))] : []),
    ...(answers.length > 0 ? [sum("model", "the model's answers", answers)] : []),
    ...(waits.length > 0 ? [sum("wait", "waiting for people", waits)] : []),
    ...(turns.length > 0 ? [{ ...sum("claude", restName, turns), totalMs: restMs, longestMs: 0 }] : []),
    ...(away.length > 0 ? [sum("away", "connection lost", away)] : []),
  ];
}

/** The time that spans cover together, which are in the order of their starts. */
function covered(spans: readonly Span[], endMs: number): number {
  let total = 0;
  let until = -Infinity;
  for (const span of spans) {
    const end = span.endMs ?? endMs;
    total += Math.max(0, end - Math.max(until, span.startMs));
    until = Math.max(until, end);
  }
  return total;
}

function lengthOf({ startMs, endMs }: Span, nowMs: number): number {
  return (endMs ?? nowMs) - startMs;
}

function byStart(one: Span, other: Span): number {
  return one.startMs - other.startMs;
}
