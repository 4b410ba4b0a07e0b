import { createHash } from "node:crypto";
import { readTraceParent, type SessionSpec, type TraceParent } from "../../proto/index.ts";

/** Place of a session's first span in its trace, and where that hangs. */
export interface SessionTrace extends TraceParent {
  /** Span that asked for the session. Undefined: none that is known. */
  parentSpanId: string | undefined;
}

/**
 * Returns the trace of a session: that of who asked for it, or one of its own. It is the same on every host that takes the
 * session up.
 */
export function traceOf(sessionId: string, { traceParent }: Pick<SessionSpec, "traceParent">): SessionTrace {
  const parent = readTraceParent(traceParent);
  return {
    traceId: parent?.traceId ?? digest(`trace of ${sessionId}`).slice(0, 32),
    spanId: spanIdOf(sessionId, "session"),
    sampled: parent?.sampled ?? true,
    parentSpanId: parent?.spanId,
  };
}

/**
 * Beginning of the ids of all spans of a host's, and of none that comes out of a container: who is in one can compute all of them, also of
 * spans that have not begun. What is left of them tells the spans of a trace apart.
 */
export const HOST_SPANS = "c1a5";

/** Returns the id of a session's span, by what names it in the session. */
export function spanIdOf(sessionId: string, name: string): string {
  return HOST_SPANS + digest(`span of ${sessionId}: ${name}`).slice(0, 16 - HOST_SPANS.length);
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
