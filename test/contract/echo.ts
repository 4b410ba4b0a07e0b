import { createHash, randomBytes } from "node:crypto";
import { Readable, type Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";

const CHUNK_BYTES = 64 * 1024;

/** Sends a text and the end, and returns what came until the other end's. */
export async function echo(stream: Duplex, text: string): Promise<string> {
  stream.end(text);
  return (await readAll(stream)).toString();
}

export async function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Sends that many bytes and the end; returns the hashes of what went and of what came. */
export async function exchange(stream: Duplex, size: number): Promise<{ sent: string; received: string }> {
  const block = randomBytes(CHUNK_BYTES);
  const sent = createHash("sha256");
  const received = createHash("sha256");
  const source = function* () {
    for (let left = size; left > 0; left -= CHUNK_BYTES) {
      block.writeUInt32BE(left, 0);
      const chunk = Buffer.from(block.subarray(0, Math.min(left, CHUNK_BYTES)));
      sent.update(chunk);
      yield chunk;
    }
  };
  const sink = async () => {
    for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      received.update(chunk);
    }
  };
  await Promise.all([pipeline(Readable.from(source()), stream, { end: true }), sink()]);
  return { sent: sent.digest("hex"), received: received.digest("hex") };
}

/** Writes until the stream has not taken anything for a second, at most `limit`; returns the bytes taken. */
export async function writeUntilStalled(stream: Duplex, limit: number): Promise<number> {
  let taken = 0;
  while (taken < limit) {
    const written = new Promise<true>((resolve, reject) => {
      stream.write(Buffer.alloc(CHUNK_BYTES, taken / CHUNK_BYTES), (error) => (error ? reject(error) : resolve(true)));
    });
    if ((await Promise.race([written, sleep(1000)])) === undefined) return taken;
    taken += CHUNK_BYTES;
  }
  return taken;
}
