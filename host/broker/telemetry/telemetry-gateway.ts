import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { countValues, type JsonBounds, parseJson } from "../json.ts";
import { HeldBytes } from "../held-bytes.ts";
import { RequestBodies, type UnreadBody } from "../request-bodies.ts";
import { stampTelemetry, type TelemetryKind, telemetryKind, type TelemetryStamp } from "./stamp.ts";

/** Where a session's telemetry goes, and whose it is. */
export interface TelemetryGatewayOptions {
  stamp: TelemetryStamp;
  /** Pushes a body of JSON. Never rejects. */
  push(kind: TelemetryKind, body: Uint8Array): Promise<"taken" | "refused" | "failed">;
  /** Room for what all sessions have under way. Default: each has its own alone. */
  held?: HeldBytes | undefined;
  /** Called with every body that is not passed on for being too much, or that nobody took. */
  onDropped: () => void;
  /** Limits of what is passed on. Default: some that Claude Code stays far below. */
  limits?: TelemetryLimits;
}

/** Limits of one session's telemetry. */
export interface TelemetryLimits {
  bodyBytes: number;
  /** Time that a body may take to come (ms). */
  bodyMs: number;
  /** Bytes of all bodies. One that is cut, or too large, counts for `bodyBytes`. */
  allBytes: number;
  /** Bodies at once: a body counts for one, and one more for each 2,000 values in it. */
  burst: number;
  /** Bodies a second, in the long run. */
  perSecond: number;
}

/** Reading so many takes the host some milliseconds, in which it does nothing else. */
const VALUES_OF_ONE = 2_000;
/** Some 500 spans, as many as are sent at once. */
const BOUNDS: JsonBounds = { values: 60_000, depth: 40 };

/** Claude Code sends each kind every few seconds, from this machine. What never ends would hold room that is all sessions'. */
const LIMITS: TelemetryLimits = {
  bodyBytes: 2 * 1024 ** 2,
  bodyMs: 5_000,
  allBytes: 64 * 1024 ** 2,
  burst: 60,
  perSecond: 2,
};

/**
 * Returns what takes Claude Code's telemetry out of a container: OTLP over HTTP, in JSON. It is read, stamped and written anew;
 * nothing else of a request is passed on.
 */
export function telemetryGateway(options: TelemetryGatewayOptions): RequestListener {
  const gateway = new TelemetryGateway(options);
  return (request, response) => {
    gateway.handle(request, response).catch(() => response.destroy());
  };
}

class TelemetryGateway {
  readonly #options: TelemetryGatewayOptions;
  readonly #limits: TelemetryLimits;
  readonly #bodies: RequestBodies;
  #bytesLeft: number;
  #allowed: number;
  #countedMs = Date.now();

  constructor(options: TelemetryGatewayOptions) {
    this.#options = options;
    const { bodyBytes, bodyMs, allBytes, burst } = (this.#limits = options.limits ?? LIMITS);
    const held = new HeldBytes(2 * bodyBytes, { within: options.held });
    this.#bodies = new RequestBodies({ maxBytes: bodyBytes, held, timeoutMs: bodyMs });
    this.#bytesLeft = allBytes;
    this.#allowed = burst;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { stamp, push, onDropped } = this.#options;
    const kind = telemetryKind(request.url ?? "");
    if (kind === undefined || request.method !== "POST") return this.#answer(request, response, 404);
    const { "content-type": type = "", "content-encoding": encoding = "identity" } = request.headers;
    if (!/^application\/json\b/.test(type) || encoding !== "identity") return this.#answer(request, response, 415);
    if (!this.#mayPass()) {
      onDropped();
      return this.#answer(request, response, 429);
    }
    const content = await this.#read(request, response);
    if (typeof content === "string") {
      onDropped();
      return this.#answer(request, response, content === "no room" ? 503 : 413);
    }
    const values = countValues(content, BOUNDS);
    // No session may have much of the time that is all sessions'.
    if (values !== undefined) this.#allowed -= Math.floor(values / VALUES_OF_ONE);
    const stamped = values === undefined ? undefined : stampTelemetry(kind, parseJson(content), stamp);
    if (stamped === undefined) return this.#answer(request, response, 400);
    const outcome = await push(kind, Buffer.from(JSON.stringify(stamped)));
    if (outcome === "taken") return this.#answer(request, response, 200);
    onDropped();
    this.#answer(request, response, outcome === "failed" ? 503 : 400);
  }

  async #read(request: IncomingMessage, response: ServerResponse): Promise<Buffer | UnreadBody> {
    const { bodyBytes } = this.#limits;
    if (this.#bytesLeft <= 0) return "too large";
    const content = await this.#bodies.read(request, response).catch((error: unknown) => {
      this.#bytesLeft -= bodyBytes;
      this.#options.onDropped();
      throw error;
    });
    if (content === "no room") return content;
    this.#bytesLeft -= content === "too large" ? bodyBytes : content.length;
    return this.#bytesLeft < 0 ? "too large" : content;
  }

  /** Nothing is said but a status, and nothing of the collector's. */
  #answer(request: IncomingMessage, response: ServerResponse, status: number): void {
    request.resume();
    response.writeHead(status, { "content-type": "application/json" }).end("{}");
  }

  #mayPass(): boolean {
    const { burst, perSecond } = this.#limits;
    const nowMs = Date.now();
    this.#allowed = Math.min(burst, this.#allowed + (Math.max(0, nowMs - this.#countedMs) / 1000) * perSecond);
    this.#countedMs = nowMs;
    if (this.#allowed < 1) return false;
    this.#allowed -= 1;
    return true;
  }
}
