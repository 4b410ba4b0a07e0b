import { durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { type SessionEvent, toolSubject } from "../../../proto/index.ts";
import { phaseName } from "../../present/session-summary.ts";

/** What a span of time was spent on. `away`: the host did not reach the agent. */
export type SpanKind = "phase" | "turn" | "model" | "tool" | "wait" | "away";

/** Span of time of a session, by the times of its events. */
export interface Span {
  kind: SpanKind;
  /** Name of a phase or of a turn, in our words; the model's; of a tool as the container says it. */
  name: string;
  /** More about it, as the container says it. */
  detail: string;
  startMs: number;
  /** Absent while it lasts. */
  endMs?: number;
  failed: boolean;
  /** Row among the spans of its kind, from 0: spans that overlap are in different ones. */
  row: number;
}

/** Most rows of one kind; what is more at once shares the last one. */
const MAX_ROWS = 8;
/** No Claude does more; the rest comes from a container that wants the page to grow. */
const MAX_SPANS = 200_000;

/** Spans of a session, put together from its events in their order. Those of the model are there once they have ended. */
export class Timeline {
  readonly spans: Span[] = [];
  /** When the session began. 0: nothing is known. */
  startMs = 0;
  /** Time of the newest event. */
  lastMs = 0;
  /** Whether the session is over: nothing lasts any more. */
  ended = false;
  readonly #rows = new Map<SpanKind, (Span | undefined)[]>();
  /** What lasts, by kind and id. */
  readonly #open = new Map<string, Span>();

  /** Adds the next event. */
  add({ event, occurTime }: SessionEvent): void {
    // Clocks of host and container may differ a little.
    const atMs = Math.max(this.lastMs, occurTime === undefined ? 0 : timestampMs(occurTime));
    this.lastMs = atMs;
    this.startMs ||= atMs;
    switch (event.case) {
      case "phaseChanged":
        this.#end("phase", "", atMs);
        this.#begin("phase", "", { name: phaseName(event.value.phase), startMs: atMs });
        break;
      case "turnStarted":
        this.#begin("turn", "", { name: `turn ${event.value.turn}`, detail: event.value.text, startMs: atMs });
        break;
      case "turnFinished":
        for (const kind of ["tool", "wait"] as const) this.#endAll(kind, atMs);
        this.#end("turn", "", atMs, event.value.failure !== undefined);
        break;
      case "modelAnswered": {
        const { startTime, elapsed, model, answeringModel, httpStatus, failure } = event.value;
        if (startTime === undefined || elapsed === undefined) break;
        const startMs = Math.max(this.startMs, timestampMs(startTime));
        const name = answeringModel === "" ? model : answeringModel;
        this.#begin("model", "", { name, detail: failure, startMs });
        this.#end("model", "", startMs + durationMs(elapsed), failure !== "" || httpStatus >= 400);
        break;
      }
      case "toolUseStarted": {
        const { toolUseId, name, inputJson } = event.value;
        this.#begin("tool", toolUseId, { name, detail: toolSubject(inputJson), startMs: atMs });
        break;
      }
      case "toolUseFinished":
        this.#end("tool", event.value.toolUseId, atMs, event.value.failed);
        break;
      case "permissionRequested":
        this.#begin("wait", event.value.requestId, {
          name: "waits for a permission",
          detail: event.value.toolName,
          startMs: atMs,
        });
        break;
      case "questionAsked": {
        const detail = event.value.questions[0]?.question ?? "";
        this.#begin("wait", event.value.requestId, { name: "waits for an answer", detail, startMs: atMs });
        break;
      }
      case "permissionDecided":
      case "questionAnswered":
        this.#end("wait", event.value.requestId, atMs);
        break;
      case "connectionLost":
        this.#begin("away", "", { name: "connection lost", detail: event.value.reason, startMs: atMs });
        break;
      case "connectionRestored": {
        const startMs = event.value.elapsed === undefined ? atMs : atMs - durationMs(event.value.elapsed);
        const lost = this.#open.get(keyOf("away", ""));
        if (lost !== undefined) lost.startMs = Math.max(this.startMs, Math.min(lost.startMs, startMs));
        this.#end("away", "", atMs);
        break;
      }
      case "sessionFinished":
        for (const kind of ["phase", "turn", "tool", "wait", "away"] as const) this.#endAll(kind, atMs);
        this.ended = true;
        break;
      default:
        break;
    }
  }

  /** Returns the end of what is shown: that of the session, or now. */
  endMs(nowMs: number): number {
    return this.ended ? this.lastMs : Math.max(this.lastMs, nowMs);
  }

  #begin(
    kind: SpanKind,
    id: string,
    { name, detail = "", startMs }: Pick<Span, "name" | "startMs"> & { detail?: string },
  ) {
    this.#end(kind, id, startMs);
    if (this.spans.length >= MAX_SPANS) return;
    const rows = this.#rows.get(kind) ?? [];
    this.#rows.set(kind, rows);
    const free = rows.findIndex((last) => last?.endMs !== undefined && last.endMs <= startMs);
    const row = free >= 0 ? free : Math.min(rows.length, MAX_ROWS - 1);
    const span: Span = { kind, name, detail, startMs, failed: false, row };
    rows[row] = span;
    this.spans.push(span);
    this.#open.set(keyOf(kind, id), span);
  }

  #end(kind: SpanKind, id: string, atMs: number, failed = false): void {
    const key = keyOf(kind, id);
    const span = this.#open.get(key);
    if (span === undefined) return;
    this.#open.delete(key);
    span.endMs = Math.max(span.startMs, atMs);
    span.failed = failed;
  }

  #endAll(kind: SpanKind, atMs: number): void {
    for (const [key, span] of this.#open) if (span.kind === kind) this.#end(kind, key.slice(kind.length + 1), atMs);
  }
}

function keyOf(kind: SpanKind, id: string): string {
  return `${kind} ${id}`;
}
