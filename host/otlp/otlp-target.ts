import type { Logger } from "pino";
import type { TelemetryKind } from "../broker/telemetry/stamp.ts";
import type { WayOut } from "../broker/way-out.ts";
import type { Settings } from "../config/settings.ts";
import { NotTaken, postJson } from "../post.ts";

/** A push takes no longer (ms), also the last one, for which the host's end waits. */
export const PUSH_TIMEOUT_MS = 5_000;

/** Collector to push to, and how it is reached. */
export interface OtlpTargetOptions {
  otlp: NonNullable<Settings["otlp"]>;
  wayOut: WayOut;
  logger: Logger;
}

/** So many failures are logged in an hour: what a container sends may be refused as often as it likes. */
const WARNINGS = 20;
const HOUR_MS = 60 * 60_000;

/**
 * Collector that is pushed to by OTLP over HTTP. A failure is logged once, until a push of that kind has arrived again, and
 * no more than twenty are in an hour.
 */
export class OtlpTarget {
  readonly otlp: NonNullable<Settings["otlp"]>;
  readonly #options: OtlpTargetOptions;
  readonly #failing = new Set<TelemetryKind>();
  #hour = { startMs: -Infinity, count: 0 };

  constructor(options: OtlpTargetOptions) {
    this.otlp = options.otlp;
    this.#options = options;
  }

  /**
   * Pushes a body of JSON. Resolves with whether it was taken, will never be, or may be if it is pushed again. Never rejects.
   */
  async push(kind: TelemetryKind, body: Uint8Array): Promise<"taken" | "refused" | "failed"> {
    const { otlp, wayOut } = this.#options;
    const url = new URL(`v1/${kind}`, otlp.endpoint.replace(/\/*$/, "/"));
    try {
      await postJson(url, body, { wayOut, headers: otlp.headers, signal: AbortSignal.timeout(PUSH_TIMEOUT_MS) });
      this.#failing.delete(kind);
      return "taken";
    } catch (error) {
      this.#warn(kind, error as Error);
      this.#failing.add(kind);
      // https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes
      const final = error instanceof NotTaken && ![429, 502, 503, 504].includes(error.status);
      return final ? "refused" : "failed";
    }
  }

  #warn(kind: TelemetryKind, { message: why }: Error): void {
    if (this.#failing.has(kind)) return;
    const nowMs = performance.now();
    if (nowMs - this.#hour.startMs >= HOUR_MS) this.#hour = { startMs: nowMs, count: 0 };
    if (++this.#hour.count > WARNINGS) return;
    this.#options.logger.warn({ why }, `${kind} not pushed`);
  }
}
