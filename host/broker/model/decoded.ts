import type { IncomingMessage } from "node:http";
import type { Readable, Transform } from "node:stream";
import { constants, createBrotliDecompress, createUnzip } from "node:zlib";

/**
 * Returns an answer's body without its content encoding, while it comes. Undefined: the encoding is not known. From
 * then on the answer flows as fast as this and all its other readers are.
 */
export function decoded(answer: IncomingMessage): Readable | undefined {
  const decoder = decoderOf((answer.headers["content-encoding"] ?? "identity").toLowerCase());
  if (decoder === "none") return answer;
  if (decoder === undefined) return undefined;
  answer.pipe(decoder);
  // What has come of an answer that is cut is read all the same.
  answer.once("close", () => decoder.end());
  return decoder;
}

function decoderOf(encoding: string): Transform | "none" | undefined {
  switch (encoding) {
    case "identity":
      return "none";
    case "gzip":
    case "x-gzip":
    case "deflate":
      return createUnzip({ finishFlush: constants.Z_SYNC_FLUSH });
    case "br":
      return createBrotliDecompress({ finishFlush: constants.BROTLI_OPERATION_FLUSH });
    default:
      return undefined;
  }
}
