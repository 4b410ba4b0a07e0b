import { createHash } from "node:crypto";

const CHUNK_BYTES = 256 * 1024;

/** A piece of some bytes; the first one says how many there are, and their hash. */
export interface ByteChunk {
  data: Uint8Array;
  totalSizeBytes?: bigint;
  sha256?: Uint8Array;
}

/** Yields bytes in pieces; at least one, which may be empty. */
export function* byteChunks(bytes: Buffer): Generator<ByteChunk> {
  const sha256 = createHash("sha256").update(bytes).digest();
  yield { data: bytes.subarray(0, CHUNK_BYTES), totalSizeBytes: BigInt(bytes.length), sha256 };
  for (let start = CHUNK_BYTES; start < bytes.length; start += CHUNK_BYTES) {
    yield { data: bytes.subarray(start, start + CHUNK_BYTES) };
  }
}
