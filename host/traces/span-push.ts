import { JsonTraceSerializer } from "@opentelemetry/otlp-transformer";
import { type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import type { OtlpTarget } from "../otlp/otlp-target.ts";
import { SCHEMA_URL } from "./conventions.ts";
import type { EndedSpan } from "./session-spans.ts";

type ReadableSpan = Parameters<typeof JsonTraceSerializer.serializeRequest>[0][number];

/** Time that a span waits for others to be pushed with (ms). */
const GATHER_MS = 2_000;
const MAX_BATCH = 512;
/** Spans that wait at once: about 8 MiB. */
const MAX_WAITING = 8_192;

/** Kinds of spans and states, as OpenTelemetry's API counts them. */
const INTERNAL = 0;
const CLIENT = 2;
const UNSET = 0;
const ERROR = 2;

/** Where spans go, and what they say of this host. */
export interface SpanPushOptions {
  target: OtlpTarget;
  version: string;
  /** Id of this life of the host. */
  instanceId: string;
  /** Called with the number of spans that are not pushed any more: too many waited, or they were refused. */
  onDropped: (count: number) => void;
}

/** Pushes spans in batches. What could not be pushed waits for the next one; the oldest go first. Dispose of it for the last push. */
export class SpanPush implements AsyncDisposable {
  readonly #options: SpanPushOptions;
  readonly #resource: Resource;
  #waiting: EndedSpan[] = [];
  #timer: NodeJS.Timeout | undefined;
  #pushing: Promise<void> | undefined;

  constructor(options: SpanPushOptions) {
    this.#options = options;
    this.#resource = resourceFromAttributes({
      "service.name": "claudecluster",
      "service.version": options.version,
      "service.instance.id": options.instanceId,
    });
  }

  /** Takes a span to be pushed. */
  add(span: EndedSpan): void {
    if (this.#waiting.length >= MAX_WAITING) {
      this.#waiting.shift();
      this.#options.onDropped(1);
    }
    this.#waiting.push(span);
    this.#pushSoon();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pushing;
    clearTimeout(this.#timer);
    let pushed = true;
    while (pushed && this.#waiting.length > 0) pushed = await this.#push();
    if (this.#waiting.length > 0) this.#options.onDropped(this.#waiting.length);
    this.#waiting = [];
  }

  #pushSoon(): void {
    this.#timer ??= setTimeout(() => void (this.#pushing = this.#pushAll()), GATHER_MS).unref();
  }

  async #pushAll(): Promise<void> {
    while (this.#waiting.length > 0 && (await this.#push()));
    this.#timer = undefined;
    if (this.#waiting.length > 0) this.#pushSoon();
  }

  /** Resolves with whether there is a point in going on. */
  async #push(): Promise<boolean> {
    const batch = this.#waiting.splice(0, MAX_BATCH);
    const body = JsonTraceSerializer.serializeRequest(batch.map((span) => this.#readable(span)));
    const outcome = body === undefined ? "refused" : await this.#options.target.push("traces", body);
    if (outcome === "refused") this.#options.onDropped(batch.length);
    if (outcome !== "failed") return true;
    const room = Math.max(0, MAX_WAITING - this.#waiting.length);
    const kept = batch.slice(Math.max(0, batch.length - room));
    if (kept.length < batch.length) this.#options.onDropped(batch.length - kept.length);
    this.#waiting = [...kept, ...this.#waiting];
    return false;
  }

  #readable({ traceId, spanId, parentSpanId, remoteParent, ...span }: EndedSpan): ReadableSpan {
    const place = { traceId, traceFlags: 1 };
    const { linkedSpanId } = span;
    return {
      name: span.name,
      kind: span.client ? CLIENT : INTERNAL,
      spanContext: () => ({ ...place, spanId }),
      ...(parentSpanId !== undefined && {
        parentSpanContext: { ...place, spanId: parentSpanId, isRemote: remoteParent },
      }),
      startTime: toTime(span.startMs),
      endTime: toTime(span.endMs),
      duration: toTime(span.endMs - span.startMs),
      ended: true,
      status: { code: span.error === undefined ? UNSET : ERROR },
      attributes: span.attributes,
      links: linkedSpanId === undefined ? [] : [{ context: { ...place, spanId: linkedSpanId, isRemote: true } }],
      events: [],
      resource: this.#resource,
      instrumentationScope: { name: "claudecluster", version: this.#options.version, schemaUrl: SCHEMA_URL },
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
    };
  }
}

/** Seconds, and nanoseconds of the next one. */
function toTime(ms: number): [number, number] {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}
