import type { Duplex } from "node:stream";

/** Beyond this a write waits until it is taken (bytes): more than an agent's HTTP/2 windows let us send, so that only a liar comes here. */
const MAX_UNSENT_BYTES = 8 * 1024 * 1024;

type Callback = (error?: Error | null) => void;

/**
 * Lets HTTP/2 go on while what it has written is not taken yet. Node reads nothing from a connection while a write of it is
 * under way (node_http2.cc, MaybeStopReading); with Node at both ends, and more on its way in both directions than the
 * buffers between them take, each would wait for the other to read, for ever. It is enough that one of them never does.
 */
export function writeEagerly(stream: Duplex): void {
  const write = stream.write.bind(stream) as (chunk: Buffer, callback?: Callback) => boolean;
  // As http2 calls it, by way of Node's JSStreamSocket.
  stream.write = ((chunk: Buffer, callback: Callback = () => {}): boolean => {
    if (stream.writableLength >= MAX_UNSENT_BYTES || stream.destroyed) return write(chunk, callback);
    process.nextTick(callback);
    return write(chunk);
  }) as typeof stream.write;
}
