import { cutChars } from "../../../proto/index.ts";
import { isMembers, type Members } from "../json.ts";

/** Kinds of telemetry, as the ends of its paths have them, and what is in a body of each, from the outside in. */
const LEVELS = {
  metrics: ["resourceMetrics", "scopeMetrics", "metrics"],
  logs: ["resourceLogs", "scopeLogs", "logRecords"],
  traces: ["resourceSpans", "scopeSpans", "spans"],
} as const;

/** Kind of telemetry. */
export type TelemetryKind = keyof typeof LEVELS;

/** Returns the kind of telemetry that a path is for. Undefined: it is for none. */
export function telemetryKind(path: string): TelemetryKind | undefined {
  const name = /^\/v1\/(metrics|logs|traces)$/.exec(path)?.[1];
  return name as TelemetryKind | undefined;
}

/** Session that telemetry is of, as the host knows it. */
export interface TelemetryStamp {
  /** Attributes of the resource. */
  attributes: Readonly<Record<string, string>>;
  /** Trace that its spans are of. */
  traceId: string;
  /** Beginning of the ids of the host's own spans, in lower case: no other span has such a one. */
  hostSpans: string;
}

/** What Claude Code's metrics and spans are called. */
const NAME = /^claude_code\.[a-z0-9_.]{1,80}$/;
/** No Claude Code has more resources in a body, or scopes in one of these. */
const MAX_GROUPS = 16;
const MAX_TEXT_LENGTH = 100;
/** Attributes that only the host gives; what stands between their words is another character for some collectors. */
const OWN = /^claudecluster(?![a-z0-9])/i;

/**
 * Members of metrics, spans, records and what is in them: https://github.com/open-telemetry/opentelemetry-proto/tree/v1.9.0.
 * Others go: collectors take "trace_id", and some "TraceId", for traceId as well.
 */
const KNOWN: ReadonlySet<string> = new Set(
  [
    "key value stringValue boolValue intValue doubleValue arrayValue kvlistValue bytesValue values",
    "name attributes droppedAttributesCount flags timeUnixNano startTimeUnixNano traceId spanId",
    "description unit metadata gauge sum histogram exponentialHistogram summary dataPoints aggregationTemporality",
    "isMonotonic asDouble asInt exemplars filteredAttributes count bucketCounts explicitBounds min max",
    "scale zeroCount zeroThreshold positive negative offset quantileValues quantile",
    "traceState parentSpanId kind endTimeUnixNano events droppedEventsCount links droppedLinksCount status message code",
    "observedTimeUnixNano severityNumber severityText body eventName",
  ].flatMap((names) => names.split(" ")),
);

/**
 * Returns the telemetry of a body that is passed on, as the host's: of a resource that the host describes, Claude Code's own metrics
 * and spans, these in the session's trace alone and with no id of a span of the host's, which they may be in or linked with, and
 * records of logs, with nothing that poses as the host's. Undefined: it is
 * no telemetry.
 */
export function stampTelemetry(kind: TelemetryKind, body: unknown, stamp: TelemetryStamp): Members | undefined {
  const [resources, scopes, items] = LEVELS[kind];
  const groups = isMembers(body) ? body[resources] : undefined;
  if (!Array.isArray(groups) || groups.length > MAX_GROUPS) return undefined;
  const stamped = groups.filter(isMembers).map((group) => ({
    resource: { attributes: resourceAttributes(group["resource"], stamp) },
    [scopes]: listOf(group[scopes])
      .slice(0, MAX_GROUPS)
      .map((scope) => ({
        scope: scopeOf(scope["scope"]),
        [items]: listOf(scope[items]).flatMap((item) => itemOf(kind, item, stamp)),
      })),
  }));
  return { [resources]: stamped };
}

/** Attributes of the host, and of those of the container the version of Claude Code, which does no harm. */
function resourceAttributes(resource: unknown, { attributes }: TelemetryStamp): Members[] {
  const given = isMembers(resource) ? listOf(resource["attributes"]) : [];
  const version = given.find(({ key }) => key === "service.version")?.["value"];
  const text = isMembers(version) ? version["stringValue"] : undefined;
  const all = {
    ...attributes,
    ...(typeof text === "string" && { "service.version": cutChars(text, MAX_TEXT_LENGTH) }),
  };
  return Object.entries(all).map(([key, stringValue]) => ({ key, value: { stringValue } }));
}

function scopeOf(scope: unknown): Members {
  const { name, version } = isMembers(scope) ? scope : {};
  const text = (given: unknown) => (typeof given === "string" ? cutChars(given, MAX_TEXT_LENGTH) : "");
  return { name: text(name), version: text(version) };
}

function itemOf(kind: TelemetryKind, item: Members, { traceId, hostSpans }: TelemetryStamp): unknown[] {
  const { name, traceId: claimed, spanId } = item;
  const ofSession = isTrace(claimed, traceId);
  if (kind !== "logs" && (typeof name !== "string" || !NAME.test(name))) return [];
  if (kind === "traces" && !(ofSession && isSpanId(spanId) && !spanId.toLowerCase().startsWith(hostSpans))) return [];
  // A record says which span it belongs to, if any.
  const { traceId: _trace, spanId: _span, ...others } = item;
  return [cleaned(kind === "logs" && !ofSession ? others : item, traceId)];
}

/**
 * With known members alone, at any depth, and without attributes that pose as the host's, and what leads into another trace: links,
 * and examples of a metric.
 */
function cleaned(value: unknown, traceId: string): unknown {
  if (Array.isArray(value)) {
    return value
      .filter((entry) => !isMembers(entry) || !(isOwn(entry) || isElsewhere(entry, traceId)))
      .map((entry) => cleaned(entry, traceId));
  }
  if (!isMembers(value)) return value;
  const members = Object.entries(value).filter(([name]) => KNOWN.has(name));
  return Object.fromEntries(members.map(([name, member]) => [name, cleaned(member, traceId)]));
}

function isOwn({ key }: Members): boolean {
  return typeof key === "string" && OWN.test(key);
}

function isElsewhere({ traceId: claimed = "" }: Members, traceId: string): boolean {
  return claimed !== "" && !isTrace(claimed, traceId);
}

function isTrace(claimed: unknown, traceId: string): boolean {
  return typeof claimed === "string" && claimed.toLowerCase() === traceId;
}

function isSpanId(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{16}$/i.test(value);
}

function listOf(value: unknown): Members[] {
  return Array.isArray(value) ? value.filter(isMembers) : [];
}
