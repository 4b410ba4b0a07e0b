import type { IncomingMessage, ServerResponse } from "node:http";
import { finished } from "node:stream/promises";
import { GatheredBytes } from "./gathered-bytes.ts";
import { HeldBytes } from "./held-bytes.ts";

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
}

/** Why a body was not read: it is too large, or with the others under way there is no room for it now. */
export type UnreadBody = "too large" | "no room";

/** Bodies of requests, read whole without letting a container fill the host's memory. */
export class RequestBodies {
  readonly #maxBytes: number;
  readonly #held: HeldBytes;

  constructor({ maxBytes = 32 * MIB, held = new HeldBytes(64 * MIB) }: RequestBodyLimits = {}) {
    this.#maxBytes = maxBytes;
    this.#held = held;
  }

  /** Returns a request's body, which counts as held until its response has closed. Rejects when it is cut. */
  async read(request: IncomingMessage, response: ServerResponse): Promise<Buffer | UnreadBody> {
    const { "content-length": length = 0 } = request.headers;
    let body = new GatheredBytes(Math.min(Number(length), this.#maxBytes));
    let heldBytes = 0;
    let unread: UnreadBody | undefined;
    response.once("close", () => {
      this.#held.release(heldBytes);
      // Nobody would release what comes now.
      unread ??= "no room";
    });
    // Node's iterator would destroy the request at its end, and with it the connection.
    request.on("data", (chunk: Buffer) => {
      if (unread === undefined && heldBytes + chunk.length > this.#maxBytes) unread = "too large";
      if (unread === undefined && !this.#held.hold(chunk.length)) unread = "no room";
      // It is read to its end all the same, or the answer would not be.
      if (unread !== undefined) {
        body = new GatheredBytes();
        return;
      }
      heldBytes += chunk.length;
      body.push(chunk);
    });
    await finished(request, { writable: false });
    return unread ?? body.bytes;
  }
}
