/** Server that a TLS ClientHello asks for. */
export interface ClientHello {
  /** Name of the server. Undefined: the hello has none. */
  serverName: string | undefined;
  /** Whether another name may be inside, encrypted (ECH): https://www.rfc-editor.org/rfc/rfc9849 */
  mayHideName: boolean;
}

const SERVER_NAME = 0;
/** As the RFC says, and as its drafts said: https://datatracker.ietf.org/doc/draft-ietf-tls-esni/history */
const ENCRYPTED_CLIENT_HELLO = [0xfe0d, 0xfe0c, 0xfe0b, 0xfe0a, 0xfe09, 0xfe08, 0xff02, 0xffce];
const HOST_NAME = 0;

/**
 * Returns the server that a TLS client asks for, from a ClientHello without its head (RFC 8446, sections 4.1.2 and 4.2;
 * RFC 6066, section 3). Undefined: it is broken, or two readers may read it in two ways.
 */
export function readServerName(hello: Buffer): ClientHello | undefined {
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
      if (seen.has(type)) return undefined;
      seen.set(type, extensions.take(extensions.number(2)));
    }
    if (!reader.isAtEnd) return undefined;
    const names = seen.get(SERVER_NAME);
    const serverName = names === undefined ? undefined : onlyName(names);
    return { serverName, mayHideName: ENCRYPTED_CLIENT_HELLO.some((type) => seen.has(type)) };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
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
