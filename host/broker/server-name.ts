/** What the first bytes of a connection say of themselves. */
export type FirstBytes =
  /** There is more to come before it can be said. */
  | { kind: "incomplete" }
  /** No TLS. */
  | { kind: "other" }
  | ClientHello
  /** A TLS ClientHello that is broken, or that two readers may read in two ways. */
  | { kind: "unclear" };

/** A whole TLS ClientHello. */
export interface ClientHello {
  kind: "tls";
  /** Undefined: it brings none. */
  serverName: string | undefined;
  /** Another name may be inside, encrypted (ECH): https://www.rfc-editor.org/rfc/rfc9849 */
  mayHideName: boolean;
  /** What it takes, in bytes, with its records. */
  length: number;
}

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const ENCRYPTED_CLIENT_HELLO = 0xfe0d;
const HOST_NAME = 0;
/** Type and length of a handshake message. */
const HEAD_BYTES = 4;
/** Larger than any client's; keys for a quantum computer's time take some thousand bytes. */
const MAX_HELLO_BYTES = 16 * 1024;

/**
 * Reads the name that a TLS client asks for (RFC 8446, sections 4.1.2, 4.2 and 5.1; RFC 6066, section 3). A hello that is
 * cut over several records is put together; one that is too large is no TLS.
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
      // Nothing may be behind it in its record: a server could read it as something else.
      if (size > wanted) return { kind: "unclear" };
      if (size === wanted) return readHello(hello.subarray(HEAD_BYTES), { length: records.at });
    }
  } catch (error) {
    if (error instanceof RangeError) return { kind: bytes.length < MAX_HELLO_BYTES ? "incomplete" : "other" };
    throw error;
  }
}

function readHello(hello: Buffer, { length }: { length: number }): FirstBytes {
  try {
    const reader = new Reader(hello);
    // Version and random, session id, cipher suites, compression methods.
    reader.skip(2 + 32);
    reader.skip(reader.number(1));
    reader.skip(reader.number(2));
    reader.skip(reader.number(1));
    const extensions = reader.isAtEnd ? reader : new Reader(reader.take(reader.number(2)));
    const seen = new Map<number, Buffer>();
    while (!extensions.isAtEnd) {
      const type = extensions.number(2);
      if (seen.has(type)) return { kind: "unclear" };
      seen.set(type, extensions.take(extensions.number(2)));
    }
    if (!reader.isAtEnd) return { kind: "unclear" };
    const names = seen.get(SERVER_NAME);
    const serverName = names === undefined ? undefined : onlyName(names);
    return { kind: "tls", serverName, mayHideName: seen.has(ENCRYPTED_CLIENT_HELLO), length };
  } catch (error) {
    if (error instanceof RangeError) return { kind: "unclear" };
    throw error;
  }
}

/** Throws RangeError unless it is a list of one name, of a host. */
function onlyName(list: Buffer): string {
  const all = new Reader(list);
  const names = new Reader(all.take(all.number(2)));
  const type = names.number(1);
  const name = names.take(names.number(2));
  if (type !== HOST_NAME || !names.isAtEnd || !all.isAtEnd) throw new RangeError("not one name");
  return name.toString("latin1").toLowerCase();
}

/** Reads from the front; throws RangeError where there is too little. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** How far it has read. */
  get at(): number {
    return this.#at;
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
