/** What the first bytes of a connection say of themselves. */
export type FirstBytes =
  /** There is more to come before it can be said. */
  | { kind: "incomplete" }
  /** No TLS. */
  | { kind: "other" }
  /** A TLS ClientHello; without a name if it brings none. */
  | { kind: "tls"; serverName: string | undefined };

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const HOST_NAME = 0;
/** Type and length of a handshake message. */
const HEAD_BYTES = 4;
/** Larger than any client's; keys for a quantum computer's time take some thousand bytes. */
const MAX_HELLO_BYTES = 16 * 1024;

/**
 * Reads the name that a TLS client asks for (RFC 8446, sections 4.1.2 and 5.1; RFC 6066, section 3). A hello that is cut
 * over several records is put together; one that is too large, or broken, is no TLS.
 */
export function readServerName(bytes: Buffer): FirstBytes {
  const records = new Reader(bytes);
  const parts: Buffer[] = [];
  let size = 0;
  let wanted = HEAD_BYTES;
  try {
    for (;;) {
      if (records.isAtEnd) return { kind: "incomplete" };
      if (records.number(1) !== HANDSHAKE) return { kind: "other" };
      if (records.isAtEnd) return { kind: "incomplete" };
      if (records.number(1) !== 3) return { kind: "other" };
      records.skip(1);
      const part = records.take(records.number(2));
      if (part.length === 0) return { kind: "other" };
      parts.push(part);
      size += part.length;
      // Put together only when it is long enough: it may come in any number of parts.
      if (size < wanted) continue;
      const hello = Buffer.concat(parts);
      if (hello[0] !== CLIENT_HELLO) return { kind: "other" };
      wanted = HEAD_BYTES + hello.readUIntBE(1, 3);
      if (wanted > MAX_HELLO_BYTES) return { kind: "other" };
      if (size >= wanted) return { kind: "tls", serverName: nameIn(hello.subarray(HEAD_BYTES, wanted)) };
    }
  } catch (error) {
    if (error instanceof RangeError) return { kind: bytes.length < MAX_HELLO_BYTES ? "incomplete" : "other" };
    throw error;
  }
}

/** Throws nothing: where the hello is broken it has no name. */
function nameIn(hello: Buffer): string | undefined {
  try {
    const reader = new Reader(hello);
    // Version and random, session id, cipher suites, compression methods.
    reader.skip(2 + 32);
    reader.skip(reader.number(1));
    reader.skip(reader.number(2));
    reader.skip(reader.number(1));
    const extensions = new Reader(reader.take(reader.number(2)));
    while (!extensions.isAtEnd) {
      const type = extensions.number(2);
      const content = extensions.take(extensions.number(2));
      if (type !== SERVER_NAME) continue;
      const names = new Reader(content);
      names.skip(2);
      if (names.number(1) !== HOST_NAME) return undefined;
      const name = names.take(names.number(2));
      // One name, and nothing behind it that another reader might take.
      return names.isAtEnd ? name.toString("latin1").toLowerCase() : undefined;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return undefined;
}

/** Reads from the front; throws RangeError where there is too little. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  number(byteCount: number): number {
    const value = this.#bytes.readUIntBE(this.#at, byteCount);
    this.#at += byteCount;
    return value;
  }

  take(byteCount: number): Buffer {
    if (this.#at + byteCount > this.#bytes.length) throw new RangeError("too little");
    this.#at += byteCount;
    return this.#bytes.subarray(this.#at - byteCount, this.#at);
  }

  skip(byteCount: number): void {
    this.take(byteCount);
  }
}
