import type { IncomingMessage } from "node:http";
import { pipeline, type Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { Refusal } from "./git-upstream.ts";

/**
 * Returns the body of a request as it was before git packed it: the request itself if it was not. Throws a Refusal for an
 * encoding that git does not use.
 */
export function plainBody(request: IncomingMessage): Readable {
  const encoding = request.headers["content-encoding"] ?? "identity";
  if (!["identity", "gzip", "x-gzip"].includes(encoding)) throw new Refusal(415, "that encoding is not understood");
  return encoding === "identity" ? request : pipeline(request, createGunzip(), () => {});
}
