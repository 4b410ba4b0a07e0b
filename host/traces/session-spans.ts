import { durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type EventBody,
  type ModelAnswered,
  Phase,
  type SessionFinished,
  type SessionSpec,
  Session_State,
} from "../../proto/index.ts";
import { labelOf } from "../metrics/metrics.ts";
import { repositoryOf } from "../repository-of.ts";
import { agentSpan, type Attributes, modelSpan, shortText, toolSpan, usageAttributes } from "./conventions.ts";
import { type SessionTrace, spanIdOf, traceOf } from "./trace-ids.ts";

/** Span that has ended. */
export interface EndedSpan {
  traceId: string;
  spanId: string;
  /** Span that it is in. Undefined: none. */
  parentSpanId: string | undefined;
  /** Whether the span that it is in is another program's. */
  remoteParent: boolean;
  name: string;
  /** Whether somebody else does what it stands for, and it waits. */
  client: boolean;
  startMs: number;
  endMs: number;
  attributes: Attributes;
  /** Why it failed, in a word. Undefined: it did not. */
  error: string | undefined;
  /** Span of the same trace that it has to do with, as the container says. Undefined: none. */
  linkedSpanId: string | undefined;
}

/** Span that lasts. */
interface Open {
  spanId: string;
  /** See EndedSpan. */
  parentSpanId: string | undefined;
  name: string;
  startMs: number;
  attributes: Attributes;
}

/** More tools at once than any Claude uses. */
const MAX_OPEN_TOOLS = 256;
/** More spans than an honest session has; the rest comes from a container that wants others to lose theirs. */
const MAX_SPANS = 20_000;

/**
 * Spans of one session: a fold of its log, so that a host that takes the session up makes the same ones. Nothing that
 * anybody said is in them.
 */
export class SessionSpans {
  readonly #sessionId: string;
  readonly #emit: (span: EndedSpan | undefined) => void;
  #trace: SessionTrace | undefined;
  #root: Open | undefined;
  #phase: Open | undefined;
  #phaseCount = 0;
  #turn: (Open & { endMs?: number }) | undefined;
  readonly #tools = new Map<string, Open>();
  #requestCount = 0;
  #spanCount = 0;

  /** Starts before the first event. `emit` is called with each span that ends, and with undefined for one too many. */
  constructor(sessionId: string, emit: (span: EndedSpan | undefined) => void) {
    this.#sessionId = sessionId;
    this.#emit = emit;
  }

  /** Reads the next event. */
  read(event: EventBody, timeMs: number): void {
    switch (event.case) {
      case "sessionStarted":
        if (event.value.spec !== undefined) this.#begin(event.value.spec, timeMs);
        break;
      case "phaseChanged":
        this.#enter(event.value.phase, timeMs);
        break;
      case "turnStarted": {
        const { turn } = event.value;
        this.#endTurn(timeMs, "lost");
        this.#turn = this.#open(`turn ${turn}`, { name: "turn", attributes: { "claudecluster.turn": turn } }, timeMs);
        break;
      }
      case "turnFinished":
        this.#endTurn(timeMs, event.value.failure?.reason);
        break;
      case "toolUseStarted": {
        const { toolUseId: id, name, parentToolUseId } = event.value;
        if (this.#tools.size >= MAX_OPEN_TOOLS) break;
        const parent = this.#tools.get(parentToolUseId) ?? this.#turnAt(timeMs);
        const tool = this.#open(`tool ${id}`, toolSpan({ name, id }), timeMs, parent);
        if (tool !== undefined) this.#tools.set(id, tool);
        break;
      }
      case "toolUseFinished":
        this.#endTool(event.value.toolUseId, timeMs, event.value.failed ? "tool_error" : undefined);
        break;
      case "modelAnswered":
        this.#addRequest(event.value);
        break;
      case "sessionFinished":
        this.#finish(event.value, timeMs);
        break;
      default:
        break;
    }
  }

  #begin(spec: SessionSpec, timeMs: number): void {
    const trace = traceOf(this.#sessionId, spec);
    // Whoever asked for it does not have it recorded.
    if (!trace.sampled) return;
    this.#trace = trace;
    const { name, attributes } = agentSpan(this.#sessionId, spec);
    const repository = repositoryOf(spec);
    this.#root = {
      spanId: trace.spanId,
      parentSpanId: trace.parentSpanId,
      name,
      startMs: timeMs,
      attributes: { ...attributes, ...(repository !== "" && { "claudecluster.repository": repository }) },
    };
  }

  #enter(phase: Phase, timeMs: number): void {
    if (this.#phase !== undefined) this.#end(this.#phase, timeMs);
    const name = labelOf(Phase, phase);
    const attributes = { "claudecluster.phase": name };
    this.#phase = this.#open(`phase ${++this.#phaseCount}`, { name: `phase ${name}`, attributes }, timeMs);
  }

  #endTurn(timeMs: number, error: string | undefined): void {
    for (const id of this.#tools.keys()) this.#endTool(id, timeMs, "lost");
    if (this.#turn === undefined || this.#turn.endMs !== undefined) return;
    this.#end(this.#turn, timeMs, { error });
    this.#turn.endMs = timeMs;
  }

  #endTool(id: string, timeMs: number, error: string | undefined): void {
    const tool = this.#tools.get(id);
    if (tool === undefined || !this.#tools.delete(id)) return;
    this.#end(tool, timeMs, { error });
  }

  /** Turn that something of that time belongs to. */
  #turnAt(timeMs: number): Open | undefined {
    return this.#turn !== undefined && timeMs <= (this.#turn.endMs ?? Infinity) ? this.#turn : undefined;
  }

  #addRequest(answered: ModelAnswered): void {
    const { startTime, elapsed, answerDelay, httpStatus, failure, usage, claimedSpanId } = answered;
    if (startTime === undefined || elapsed === undefined) return;
    const startMs = timestampMs(startTime);
    const span = modelSpan(this.#sessionId, answered);
    const delay = answerDelay && { "gen_ai.response.time_to_first_chunk": durationMs(answerDelay) / 1000 };
    const status = httpStatus > 0 && { "http.response.status_code": httpStatus };
    const attributes = { ...span.attributes, ...delay, ...status, ...(usage && usageAttributes(usage)) };
    const request = this.#open(
      `request ${++this.#requestCount}`,
      { name: span.name, attributes },
      startMs,
      this.#turnAt(startMs),
    );
    if (request === undefined) return;
    const refused = httpStatus >= 400 ? String(httpStatus) : undefined;
    this.#end(request, startMs + durationMs(elapsed), {
      client: true,
      error: failure === "" ? refused : failure,
      linkedSpanId: claimedSpanId === "" ? undefined : claimedSpanId,
    });
  }

  #finish({ state, result }: SessionFinished, timeMs: number): void {
    this.#endTurn(timeMs, "lost");
    if (this.#phase !== undefined) this.#end(this.#phase, timeMs);
    this.#phase = undefined;
    const root = this.#root;
    if (root === undefined) return;
    this.#root = undefined;
    root.attributes = {
      ...root.attributes,
      "claudecluster.session.state": labelOf(Session_State, state),
      ...(result !== undefined && { "claudecluster.change_count": result.changeCount }),
      ...(result?.meteredUsage && usageAttributes(result.meteredUsage)),
    };
    const error = result?.outcome.case === "failure" ? result.outcome.value.reason : undefined;
    // However many there were: without it the others hang in the air.
    this.#spanCount = 0;
    this.#end(root, timeMs, { client: true, error, remoteParent: root.parentSpanId !== undefined });
  }

  /** Undefined: the session is not recorded. */
  #open(
    id: string,
    { name, attributes }: { name: string; attributes: Attributes },
    startMs: number,
    parent: Open | undefined = this.#root,
  ): Open | undefined {
    if (this.#root === undefined || parent === undefined) return undefined;
    return { spanId: spanIdOf(this.#sessionId, id), parentSpanId: parent.spanId, name, startMs, attributes };
  }

  #end(open: Open, endMs: number, more: Partial<EndedSpan> = {}): void {
    if (++this.#spanCount > MAX_SPANS) return this.#emit(undefined);
    const { spanId, parentSpanId, name, startMs, attributes } = open;
    const error = more.error && shortText(more.error);
    this.#emit({
      client: false,
      remoteParent: false,
      linkedSpanId: undefined,
      ...more,
      traceId: this.#trace!.traceId,
      spanId,
      parentSpanId,
      name,
      startMs,
      // The clocks of host and container may differ a little.
      endMs: Math.max(startMs, endMs),
      attributes: { ...attributes, ...(error && { "error.type": error }) },
      error,
    });
  }
}
