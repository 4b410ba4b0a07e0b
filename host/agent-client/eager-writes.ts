import type { Duplex } from "node:stream";

/** Beyond this a write waits until it is taken (bytes): more than an agent's HTTP/2 windows let us send, so that only a liar comes here. */
const MAX_UNSENT_BYTES = 8 * 1024 * 1024;

type Callback = (error?: Error | null) => void;

/**
 * Lets HTTP/2 on a stream go on while a write of it is under way. Node reads nothing from a connection meanwhile
 * (node_http2.cc, MaybeStopReading). With Node at both ends, and full buffers in both directions, each end would wait
 * for the other for ever; one end that does not wait is enough.
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
