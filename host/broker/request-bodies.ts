import type { IncomingMessage, ServerResponse } from "node:http";
import { finished } from "node:stream/promises";
import { GatheredBytes } from "./gathered-bytes.ts";
import { HeldBytes } from "./held-bytes.ts";
import { goneSignal } from "./http-exchange.ts";

const MIB = 1024 * 1024;

/** Limits for bodies that are held in memory. */
export interface RequestBodyLimits {
  /**
   * Most bytes of one body. Default: 32 MiB, the API's own:
   * https://platform.claude.com/docs/en/api/overview#request-size-limits
   */
  maxBytes?: number;
  /** Room for all bodies that are held. Default: 64 MiB. */
  held?: HeldBytes;
  /** Time that one body may take to come (ms), after which its connection is cut. Default: any. */
  timeoutMs?: number;
}

/** Why a body was not read: it is too large, or with the others under way there is no room for it now. */
export type UnreadBody = "too large" | "no room";

/** Bodies of requests, read whole without letting a container fill the host's memory. */
export class RequestBodies {
  readonly #maxBytes: number;
  readonly #held: HeldBytes;
  readonly #timeoutMs: number | undefined;

  constructor({ maxBytes = 32 * MIB, held = new HeldBytes(64 * MIB), timeoutMs }: RequestBodyLimits = {}) {
    this.#maxBytes = maxBytes;
    this.#held = held;
    this.#timeoutMs = timeoutMs;
  }

  /** Returns a request's body, which counts as held until its response or its connection has closed. Rejects when it is cut. */
  async read(request: IncomingMessage, response: ServerResponse): Promise<Buffer | UnreadBody> {
    const { "content-length": length = 0 } = request.headers;
    let body = new GatheredBytes(Math.min(Number(length), this.#maxBytes));
    let heldBytes = 0;
    const gone = goneSignal(request, response);
    // Nobody would release what comes then.
    let unread: UnreadBody | undefined = gone.aborted ? "no room" : undefined;
    const letGo = (why: UnreadBody) => {
      unread ??= why;
      body = new GatheredBytes();
      this.#held.release(heldBytes);
      heldBytes = 0;
    };
    gone.addEventListener("abort", () => letGo("no room"), { once: true });
    // Node's iterator would destroy the request at its end, and with it the connection.
    request.on("data", (chunk: Buffer) => {
      // It is read to its end all the same, or the answer would not be.
      if (unread !== undefined) return;
      if (heldBytes + chunk.length > this.#maxBytes) return letGo("too large");
      if (!this.#held.hold(chunk.length)) return letGo("no room");
      heldBytes += chunk.length;
      body.push(chunk);
    });
    const late = this.#timeoutMs === undefined ? undefined : setTimeout(() => request.destroy(), this.#timeoutMs);
    try {
      await finished(request, { writable: false });
    } finally {
      clearTimeout(late);
    }
    return unread ?? body.bytes;
  }
}
