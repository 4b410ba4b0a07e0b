import { type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import type { Duplex, Readable } from "node:stream";
import { type Call, type CallKind, engineUrl } from "./read-call.ts";

/** Far above any answer of the engine. */
const MAX_ANSWER_BYTES = 8 * 2 ** 20;

/** A request as it is sent. */
interface EngineRequest {
  kind: CallKind;
  method: Call["method"];
  target?: string;
  query?: Readonly<Record<string, string>>;
  body?: object;
}

/** Answer of the engine in place of a stream. */
export interface EngineAnswer {
  status: number;
  /** Value of its body, if that is JSON. */
  json: unknown;
}

/**
 * Client of the engine, with one connection for each call. A call rejects if the engine is not reached or breaks off,
 * or the signal is aborted.
 */
export class EngineClient {
  readonly #path: string;

  /** Takes the path of the engine's socket. */
  constructor(path: string) {
    this.#path = path;
  }

  /** Resolves with the whole answer, whatever its status. */
  async call(call: EngineRequest, { signal }: { signal: AbortSignal }): Promise<EngineAnswer> {
    const answer = await this.stream(call, { signal });
    return { status: answer.statusCode ?? 500, json: await readJson(answer) };
  }

  /** Resolves with the beginning of the answer. */
  stream(call: EngineRequest, { signal }: { signal: AbortSignal }): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      this.#send(call, {}, signal).once("response", resolve).on("error", reject);
    });
  }

  /** Resolves with the stream that the connection becomes, or with the answer if it becomes none. */
  upgrade(call: EngineRequest, { signal }: { signal: AbortSignal }): Promise<Duplex | EngineAnswer> {
    return new Promise((resolve, reject) => {
      this.#send(call, { connection: "Upgrade", upgrade: "tcp" }, signal)
        .on("error", reject)
        .once("upgrade", (_answer, socket, head) => {
          socket.unshift(head);
          resolve(socket);
        })
        .once("response", (answer) => {
          readJson(answer).then((json) => resolve({ status: answer.statusCode ?? 500, json }), reject);
        });
    });
  }

  #send({ kind, method, target = "", query, body }: EngineRequest, headers: object, signal: AbortSignal) {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const sent = request({
      method,
      path: engineUrl(kind, target, query),
      headers: {
        host: "docker",
        ...(text !== undefined && { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
        ...headers,
      },
      // Either side of a stream ends by itself.
      createConnection: () => connect({ path: this.#path, allowHalfOpen: true }),
      signal,
    });
    sent.end(text);
    return sent;
  }
}

async function readJson(answer: Readable): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) throw new Error(`The engine's answer is longer than ${MAX_ANSWER_BYTES} bytes.`);
  }
  const text = Buffer.concat(chunks).toString();
  return text === "" ? undefined : (JSON.parse(text) as unknown);
}
