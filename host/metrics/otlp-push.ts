import { JsonMetricsSerializer } from "@opentelemetry/otlp-transformer";
import {
  type MetricReader,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
  type ResourceMetrics,
} from "@opentelemetry/sdk-metrics";
import { type OtlpTarget, PUSH_TIMEOUT_MS } from "../otlp/otlp-target.ts";

/**
 * Returns a reader that pushes all metrics, in JSON, now and then, and once more when it is shut down. What could not be pushed
 * is in the next push.
 */
export function otlpReader(target: OtlpTarget): MetricReader {
  const intervalMs = 1000 * target.otlp.interval_seconds;
  return new PeriodicExportingMetricReader({
    exporter: new OtlpExporter(target),
    exportIntervalMillis: intervalMs,
    exportTimeoutMillis: Math.min(PUSH_TIMEOUT_MS, intervalMs),
  });
}

class OtlpExporter implements PushMetricExporter {
  readonly #target: OtlpTarget;

  constructor(target: OtlpTarget) {
    this.#target = target;
  }

  export(metrics: ResourceMetrics, done: Parameters<PushMetricExporter["export"]>[1]): void {
    // To the SDK every push is a success: it would say the rest, and keep nothing.
    void this.#push(metrics).finally(() => done({ code: 0 }));
  }

  async #push(metrics: ResourceMetrics): Promise<void> {
    const body = JsonMetricsSerializer.serializeRequest(metrics);
    if (body !== undefined) await this.#target.push("metrics", body);
  }

  forceFlush(): Promise<void> {
    return Promise.resolve();
  }

  shutdown(): Promise<void> {
    return Promise.resolve();
  }
}
