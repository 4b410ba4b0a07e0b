import type { IncomingMessage } from "node:http";
import { type MeteredUsage, readTraceParent, type TraceParent } from "../../../proto/index.ts";

/** Request to the model that is over, as it is told. */
export interface ModelRequest {
  /** Model that was asked for. */
  model: string;
  /** Model that answered. Undefined: none did. */
  answeringModel: string | undefined;
  startMs: number;
  /** Time until its answer began (ms). Undefined: none did. */
  answerDelayMs: number | undefined;
  elapsedMs: number;
  /** HTTP status of its answer. 0: there was none. */
  httpStatus: number;
  /** Failure of a request that had begun well. Undefined: there was none. */
  failure: string | undefined;
  /** Undefined: nothing is counted for it. */
  usage: MeteredUsage | undefined;
  /** Place in a trace, as the container says. Undefined: it says none. */
  claimed: TraceParent | undefined;
}

/** What becomes of a request to the model. */
export class RequestRecord {
  readonly #model: string;
  readonly #claimed: TraceParent | undefined;
  readonly #startMs = Date.now();
  #sent = false;
  #httpStatus = 0;
  #answerDelayMs: number | undefined;
  #answeringModel: string | undefined;
  #failure: string | undefined;
  #usage: MeteredUsage | undefined;

  /** Starts as the request is passed on. */
  constructor(model: string, { headers }: IncomingMessage) {
    this.#model = model;
    const { traceparent } = headers;
    this.#claimed = typeof traceparent === "string" ? readTraceParent(traceparent) : undefined;
  }

  /** Notes that it goes out. */
  sent(): void {
    this.#sent = true;
  }

  /** Notes how its answer begins. 0: there is none. */
  answered(httpStatus: number): void {
    this.#sent = true;
    this.#httpStatus = httpStatus;
    if (httpStatus > 0) this.#answerDelayMs = Date.now() - this.#startMs;
    else this.#failure = "not_reached";
  }

  /** Notes what it used, of which model, and why its answer broke off. */
  used(usage: MeteredUsage, model?: string, failure?: string): void {
    this.#usage = usage;
    this.#answeringModel = model;
    this.#failure = failure ?? this.#failure;
  }

  /** Notes that Claude gave it up. */
  givenUp(): void {
    this.#failure ??= "given_up";
  }

  /** Returns all of it, at its end. Undefined: nothing of it went out. */
  get told(): ModelRequest | undefined {
    if (!this.#sent) return undefined;
    return {
      model: this.#model,
      answeringModel: this.#answeringModel,
      startMs: this.#startMs,
      answerDelayMs: this.#answerDelayMs,
      elapsedMs: Date.now() - this.#startMs,
      httpStatus: this.#httpStatus,
      failure: this.#failure,
      usage: this.#usage,
      claimed: this.#claimed,
    };
  }
}
