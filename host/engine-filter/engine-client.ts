import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { type Duplex, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
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

  /** Sends an archive in place of a body. Rejects as the archive does, too; then the engine has not got all of it. */
  async upload(
    call: EngineRequest,
    archive: AsyncIterable<Buffer>,
    { signal }: { signal: AbortSignal },
  ): Promise<EngineAnswer> {
    const sent = this.#open(call, { "content-type": "application/x-tar" }, signal);
    const answered = once(sent, "response") as Promise<[IncomingMessage]>;
    answered.catch(() => {}); // Told by the pipeline, which may fail first.
    await pipeline(Readable.from(archive, { objectMode: false }), sent);
    const [answer] = await answered;
    return { status: answer.statusCode ?? 500, json: await readJson(answer) };
  }

  #send(call: EngineRequest, headers: object, signal: AbortSignal) {
    const text = call.body === undefined ? undefined : JSON.stringify(call.body);
    const about = text !== undefined && {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(text),
    };
    const sent = this.#open(call, { ...about, ...headers }, signal);
    sent.end(text);
    return sent;
  }

  #open({ kind, method, target = "", query }: EngineRequest, headers: object, signal: AbortSignal) {
    return request({
      method,
      path: engineUrl(kind, target, query),
      headers: { host: "docker", ...headers },
      // Either side of a stream ends by itself.
      createConnection: () => connect({ path: this.#path, allowHalfOpen: true }),
      signal,
    });
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
