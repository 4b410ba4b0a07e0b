import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

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

interface Body {
  resourceMetrics: { resource: { attributes: OtlpPoint["attributes"] }; scopeMetrics: { metrics: OtlpMetric[] }[] }[];
}

/** Receiver of metrics by OTLP over HTTP, in JSON. It answers with a status, 200 at first. */
export async function startOtlpReceiver() {
  const pushes: Pushed[] = [];
  let status = 200;
  let attempts = 0;
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      attempts += 1;
      response.writeHead(status, { "content-type": "application/json" }).end("{}");
      if (status !== 200) return;
      const { resourceMetrics } = JSON.parse(body) as Body;
      const attributes = resourceMetrics.flatMap(({ resource }) => resource.attributes);
      pushes.push({
        path: request.url ?? "",
        headers: request.headers,
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
