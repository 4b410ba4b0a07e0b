import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

/** Metric as OTLP's JSON has it: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding */
export interface OtlpMetric {
  name: string;
  unit?: string;
  sum?: { isMonotonic: boolean; dataPoints: OtlpPoint[] };
  gauge?: { dataPoints: OtlpPoint[] };
  histogram?: { dataPoints: OtlpPoint[] };
}

interface OtlpPoint {
  attributes: { key: string; value: { stringValue: string } }[];
  asDouble?: number;
  asInt?: number | string;
  count?: number | string;
}

/** Push that has come. */
export interface Pushed {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
  resource: Record<string, string>;
  metrics: OtlpMetric[];
}

/** Span as OTLP's JSON has it. */
export interface OtlpSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: Record<string, unknown> }[];
  status: { code?: number };
  links?: { traceId: string; spanId: string }[];
}

/** Body that is of no metrics of a host's. */
export interface OtherPush {
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

interface TraceBody {
  resourceSpans: { resource: unknown; scopeSpans: { schemaUrl?: string; spans: OtlpSpan[] }[] }[];
}

interface Body {
  resourceMetrics: { resource: { attributes: OtlpPoint["attributes"] }; scopeMetrics: { metrics: OtlpMetric[] }[] }[];
}

/** Receiver of metrics and traces by OTLP over HTTP, in JSON, and of what else comes. It answers with a status, 200 at first. */
export async function startOtlpReceiver() {
  const pushes: Pushed[] = [];
  const others: OtherPush[] = [];
  let status = 200;
  let attempts = 0;
  const server = createServer((request, response) => {
    void buffer(request).then((content) => {
      attempts += 1;
      response.writeHead(status, { "content-type": "application/json" }).end("{}");
      if (status !== 200) return;
      const { url: path = "", headers } = request;
      const body = content.toString();
      if (!path.endsWith("/v1/metrics") || !body.includes("claudecluster_")) {
        others.push({ path, headers, body: content });
        return;
      }
      const { resourceMetrics } = JSON.parse(body) as Body;
      const attributes = resourceMetrics.flatMap(({ resource }) => resource.attributes);
      pushes.push({
        path,
        headers,
        body,
        resource: Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue])),
        metrics: resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics)),
      });
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    pushes,
    others,
    /** Spans that have come of this service, in the order in which they came. */
    spans(service = "claudecluster"): OtlpSpan[] {
      return others
        .filter(({ path, headers }) => path.endsWith("/v1/traces") && headers["content-type"] === "application/json")
        .flatMap(({ body }) => (JSON.parse(body.toString()) as TraceBody).resourceSpans)
        .filter(({ resource }) => JSON.stringify(resource).includes(`"stringValue":"${service}"`))
        .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
    },
    get attempts() {
      return attempts;
    },
    answer: (next: number) => (status = next),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** The value of a metric's point with these labels. */
export function pointOf({ metrics }: Pushed, name: string, labels: Record<string, string> = {}): number | undefined {
  const metric = metrics.find((one) => one.name === name);
  const points = (metric?.sum ?? metric?.gauge ?? metric?.histogram)?.dataPoints ?? [];
  const point = points.find(({ attributes }) =>
    Object.entries(labels).every(([label, value]) =>
      attributes.some(({ key, value: { stringValue } }) => key === label && stringValue === value),
    ),
  );
  const value = point?.asInt ?? point?.asDouble ?? point?.count;
  return value === undefined ? undefined : Number(value);
}

/** The value of a span's attribute, a number where it is one. */
export function attributeOf({ attributes }: OtlpSpan, name: string): unknown {
  const { intValue, ...value } = attributes.find(({ key }) => key === name)?.value ?? {};
  return intValue === undefined ? Object.values(value)[0] : Number(intValue);
}
