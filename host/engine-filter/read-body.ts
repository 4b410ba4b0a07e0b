import type { IncomingMessage } from "node:http";
import type { Duplex, Readable } from "node:stream";
import { AppError } from "../../proto/index.ts";
import { refused } from "./refused.ts";

/** A create is about 12 kB, most of it the profile of system calls. */
const MAX_BODY_BYTES = 64 * 1024;
const BODY_MS = 30_000;
const UPGRADE_BODY_MS = 10_000;

/**
 * Resolves with the value of a request's JSON body. Undefined: it has none. Throws ENGINE_CALL_REFUSED for other
 * bodies.
 */
export async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(refused("The body has not come whole.")), BODY_MS);
    request.once("close", () => clearTimeout(timer)).once("end", () => clearTimeout(timer));
    request.once("end", resolve).once("error", reject).once("close", resolve);
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= MAX_BODY_BYTES) return void chunks.push(chunk);
      request.pause();
      reject(tooLarge());
    });
  });
  return parse(Buffer.concat(chunks));
}

/**
 * Resolves with the value of the JSON body of a request that turns its connection into a stream. What follows the body
 * stays in the socket.
 */
export async function readUpgradeBody(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<unknown> {
  const length = request.headers["content-length"] ?? "0";
  if (request.headers["transfer-encoding"] !== undefined) throw refused("A body in chunks is not passed on here.");
  if (!(Number(length) <= MAX_BODY_BYTES)) throw tooLarge();
  if (Number(length) === 0) return undefined;
  // Before 26, Node leaves the body of such a request in its connection and calls the empty request complete.
  const source: Readable = request.complete && request.readableLength === 0 ? socket : request;
  socket.unshift(head);
  const body = await readExactly(source, Number(length));
  // From 26 on, the stream begins where the request has been read to its end.
  request.resume();
  return parse(body);
}

async function readExactly(source: Readable, length: number): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const take = () => {
    const chunk = source.read(length) as Buffer | null;
    if (chunk !== null) resolve(chunk);
  };
  const fail = () => reject(refused("The body has not come whole."));
  const timer = setTimeout(fail, UPGRADE_BODY_MS);
  source.on("readable", take).once("close", fail);
  take();
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    source.off("readable", take).off("close", fail);
  }
}

function parse(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  try {
    return JSON.parse(body.toString()) as unknown;
  } catch {
    throw refused("The body is not JSON.");
  }
}

function tooLarge(): AppError {
  return new AppError("ENGINE_CALL_REFUSED", `The body is longer than ${MAX_BODY_BYTES} bytes.`, {
    kind: "RESOURCE_EXHAUSTED",
  });
}
