import type { IncomingMessage, ServerResponse } from "node:http";
import { finished } from "node:stream/promises";
import { GatheredBytes } from "./gathered-bytes.ts";

const MIB = 1024 * 1024;

/** Limits for bodies that are held in memory. */
export interface RequestBodyLimits {
  /**
   * Most bytes of one body. Default: 32 MiB, the API's own:
   * https://platform.claude.com/docs/en/api/overview#request-size-limits
   */
  maxBytes?: number;
  /** Most bytes of all bodies that are held. Default: 64 MiB. */
  maxHeldBytes?: number;
}

/** Bodies of requests, read whole without letting a container fill the host's memory. */
export class RequestBodies {
  readonly #maxBytes: number;
  #freeBytes: number;

  constructor({ maxBytes = 32 * MIB, maxHeldBytes = 64 * MIB }: RequestBodyLimits = {}) {
    this.#maxBytes = maxBytes;
    this.#freeBytes = maxHeldBytes;
  }

  /**
   * Returns a request's body, which counts as held until its response has closed. Undefined: it is too large. Rejects
   * when it is cut.
   */
  async read(request: IncomingMessage, response: ServerResponse): Promise<Buffer | undefined> {
    let body = new GatheredBytes();
    let heldBytes = 0;
    let tooLarge = false;
    response.once("close", () => (this.#freeBytes += heldBytes));
    // Node's iterator would destroy the request at its end, and with it the connection.
    request.on("data", (chunk: Buffer) => {
      tooLarge ||= heldBytes + chunk.length > this.#maxBytes || chunk.length > this.#freeBytes;
      // It is read to its end all the same, or the answer would not be.
      if (tooLarge) {
        body = new GatheredBytes();
        return;
      }
      heldBytes += chunk.length;
      this.#freeBytes -= chunk.length;
      body.push(chunk);
    });
    await finished(request, { writable: false });
    return tooLarge ? undefined : body.bytes;
  }
}
