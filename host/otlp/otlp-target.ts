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

/** Failures of a kind are logged once in this time: what a container sends may be refused as often as it likes (ms). */
const WARN_MS = 60_000;

/**
 * Collector that is pushed to by OTLP over HTTP. A failure is logged once, until a push of that kind has arrived again, and not
 * within a minute of the one before.
 */
export class OtlpTarget {
  readonly otlp: NonNullable<Settings["otlp"]>;
  readonly #options: OtlpTargetOptions;
  readonly #failing = new Set<TelemetryKind>();
  readonly #warnedMs = new Map<TelemetryKind, number>();

  constructor(options: OtlpTargetOptions) {
    this.otlp = options.otlp;
    this.#options = options;
  }

  /**
   * Pushes a body, by default of JSON. Resolves with whether it was taken, will never be, or may be if it is pushed again. Never
   * rejects.
   */
  async push(
    kind: TelemetryKind,
    body: Uint8Array,
    contentType = "application/json",
  ): Promise<"taken" | "refused" | "failed"> {
    const { otlp, wayOut } = this.#options;
    const url = new URL(`v1/${kind}`, otlp.endpoint.replace(/\/*$/, "/"));
    const headers = { ...otlp.headers, "content-type": contentType };
    try {
      await postJson(url, body, { wayOut, headers, signal: AbortSignal.timeout(PUSH_TIMEOUT_MS) });
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
    const nowMs = performance.now();
    if (this.#failing.has(kind) || nowMs - (this.#warnedMs.get(kind) ?? -Infinity) < WARN_MS) return;
    this.#warnedMs.set(kind, nowMs);
    this.#options.logger.warn({ why }, `${kind} not pushed`);
  }
}
