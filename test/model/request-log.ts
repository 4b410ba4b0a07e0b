import type { IncomingHttpHeaders } from "node:http";

/** A request the scripted model has received, as it came, and what it was answered with. */
export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** The parsed JSON body; the text when it is not JSON; undefined when empty. */
  readonly body: unknown;
  readonly receivedAt: Date;
  /** Scenario whose step answers the request; undefined until chosen, and for requests refused before. */
  scenario?: string;
}

/** The newest requests, oldest first. */
export class RequestLog {
  readonly entries: RecordedRequest[] = [];
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(request: RecordedRequest): void {
    this.entries.push(request);
    if (this.entries.length > this.#limit) this.entries.shift();
  }
}
