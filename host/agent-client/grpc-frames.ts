import { Code, ConnectError } from "@connectrpc/connect";
import { messageTooLarge } from "./agent-error.ts";

/** Flags and length: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md */
export const FRAME_HEAD_BYTES = 5;

/** Writes the head of a frame in front of a message. */
export function writeFrameHead(frame: Buffer): void {
  frame.writeUInt8(0, 0);
  frame.writeUInt32BE(frame.length - FRAME_HEAD_BYTES, 1);
}

/** Reader of the messages in gRPC's frames. What comes whole is not copied. */
export class GrpcFrames {
  readonly #maxBytes: number;
  readonly #head = Buffer.alloc(FRAME_HEAD_BYTES);
  #headBytes = 0;
  /** Room for a message that came in part. */
  #message: Buffer | undefined;
  #messageBytes = 0;

  /** Sets the most bytes of a message. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether nothing of a message is outstanding. */
  get whole(): boolean {
    return this.#headBytes === 0;
  }

  /** Yields the messages that the next bytes make whole. Throws AGENT_INVALID for one that is too large. */
  *take(chunk: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < chunk.length || this.#isEmptyMessage;) {
      if (this.#headBytes < FRAME_HEAD_BYTES) {
        at += this.#takeHead(chunk.subarray(at));
        continue;
      }
      const missing = this.#length - this.#messageBytes;
      const part = chunk.subarray(at, at + missing);
      at += part.length;
      if (part.length === this.#length) {
        this.#headBytes = 0;
        yield part;
        continue;
      }
      this.#message ??= Buffer.allocUnsafeSlow(this.#length);
      this.#message.set(part, this.#messageBytes);
      this.#messageBytes += part.length;
      if (part.length < missing) continue;
      const message = this.#message;
      this.#message = undefined;
      this.#messageBytes = this.#headBytes = 0;
      yield message;
    }
  }

  get #length(): number {
    return this.#head.readUInt32BE(1);
  }

  get #isEmptyMessage(): boolean {
    return this.#headBytes === FRAME_HEAD_BYTES && this.#length === 0;
  }

  #takeHead(chunk: Uint8Array): number {
    const part = chunk.subarray(0, FRAME_HEAD_BYTES - this.#headBytes);
    this.#head.set(part, this.#headBytes);
    this.#headBytes += part.length;
    if (this.#headBytes < FRAME_HEAD_BYTES) return part.length;
    if (this.#head[0] !== 0) throw new ConnectError("a message is compressed", Code.Internal);
    if (this.#length > this.#maxBytes) throw messageTooLarge();
    return part.length;
  }
}
