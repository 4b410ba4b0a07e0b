import { JsonMetricsSerializer } from "@opentelemetry/otlp-transformer";
import {
  type MetricReader,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
  type ResourceMetrics,
} from "@opentelemetry/sdk-metrics";
import type { Logger } from "pino";
import type { WayOut } from "../broker/way-out.ts";
import type { Settings } from "../config/settings.ts";
import { postJson } from "../post.ts";

/** A push takes no longer (ms), also the last one, for which the host's end waits. */
const TIMEOUT_MS = 5_000;

/** Where metrics are pushed to, and how that is reached. */
export interface OtlpPushOptions {
  otlp: NonNullable<Settings["otlp"]>;
  wayOut: WayOut;
  logger: Logger;
}

/**
 * Returns a reader that pushes all metrics by OTLP over HTTP, in JSON, now and then, and once more when it is shut down. What
 * could not be pushed is in the next push. A failure is logged once, until a push has arrived again.
 */
export function otlpReader(options: OtlpPushOptions): MetricReader {
  return new PeriodicExportingMetricReader({
    exporter: new OtlpExporter(options),
    exportIntervalMillis: 1000 * options.otlp.interval_seconds,
    exportTimeoutMillis: Math.min(TIMEOUT_MS, 1000 * options.otlp.interval_seconds),
  });
}

class OtlpExporter implements PushMetricExporter {
  readonly #options: OtlpPushOptions;
  readonly #url: URL;
  #failing = false;

  constructor(options: OtlpPushOptions) {
    this.#options = options;
    this.#url = new URL("v1/metrics", options.otlp.endpoint.replace(/\/*$/, "/"));
  }

  export(metrics: ResourceMetrics, done: Parameters<PushMetricExporter["export"]>[1]): void {
    // To the SDK every push is a success: it would say the rest, and keep nothing.
    void this.#push(metrics).finally(() => done({ code: 0 }));
  }

  async #push(metrics: ResourceMetrics): Promise<void> {
    const { otlp, wayOut, logger } = this.#options;
    try {
      const body = JsonMetricsSerializer.serializeRequest(metrics);
      if (body === undefined) return;
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      await postJson(this.#url, body, { wayOut, headers: otlp.headers, signal });
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) logger.warn({ why: (error as Error).message }, "metrics not pushed");
      this.#failing = true;
    }
  }

  forceFlush(): Promise<void> {
    return Promise.resolve();
  }

  shutdown(): Promise<void> {
    return Promise.resolve();
  }
}
