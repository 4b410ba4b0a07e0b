import { type ClientHello, readServerName } from "./server-name.ts";

/** Why TLS is refused that is broken, or could be read in two ways. */
export const UNCLEAR = "TLS says hello in a way that is not understood";

const CHANGE_CIPHER_SPEC = 20;
const HANDSHAKE = 22;
const HEARTBEAT = 24;
const CLIENT_HELLO = 1;
const HEAD_BYTES = 5;
/** Of a record, encrypted: https://www.rfc-editor.org/rfc/rfc5246#section-6.2.3 */
const MAX_RECORD_BYTES = 16 * 1024 + 2048;

/**
 * Follows what a TLS client sends after its first hello, record by record. A server may ask for a second hello (RFC 8446,
 * section 4.1.4), which must ask for what the first did; none may come where it is encrypted (a renegotiation of TLS 1.2).
 */
export class ClientRecords {
  readonly #wrongIn: (hello: ClientHello) => string | undefined;
  /** Of the next record's head, or of a whole handshake record. */
  #pending: Buffer = Buffer.alloc(0);
  /** What is still to come of a record that is not looked at. */
  #skippedBytes = 0;
  /** Records of a hello that is not whole yet. */
  #hello: Buffer = Buffer.alloc(0);
  #isEncrypted = false;
  #isFinished = false;

  /** `wrongIn` says why a hello may not be passed on. */
  constructor(wrongIn: (hello: ClientHello) => string | undefined) {
    this.#wrongIn = wrongIn;
  }

  /** Looks at the next bytes. Returns why they may not be passed on; undefined if they may. */
  push(bytes: Buffer): string | undefined {
    for (let at = 0; at < bytes.length;) {
      if (this.#skippedBytes > 0) {
        const count = Math.min(this.#skippedBytes, bytes.length - at);
        this.#skippedBytes -= count;
        at += count;
        continue;
      }
      const missing = this.#missingBytes();
      const part = bytes.subarray(at, at + missing);
      this.#pending = Buffer.concat([this.#pending, part]);
      at += part.length;
      if (part.length < missing) return undefined;
      const wrong = this.#look();
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }

  /** How much is needed before there is something to look at: a head, or a handshake record. */
  #missingBytes(): number {
    const { length } = this.#pending;
    return (length < HEAD_BYTES ? HEAD_BYTES : HEAD_BYTES + this.#pending.readUInt16BE(3)) - length;
  }

  #look(): string | undefined {
    const [type = 0] = this.#pending;
    const bodyBytes = this.#pending.readUInt16BE(3);
    if (type < CHANGE_CIPHER_SPEC || type > HEARTBEAT || bodyBytes > MAX_RECORD_BYTES) return UNCLEAR;
    if (type === HANDSHAKE && this.#pending.length < HEAD_BYTES + bodyBytes) return undefined;
    const record = this.#pending;
    this.#pending = Buffer.alloc(0);
    if (type === HANDSHAKE) return this.#readHandshake(record);
    if (type === CHANGE_CIPHER_SPEC) this.#isEncrypted = true;
    this.#skippedBytes = bodyBytes;
    return undefined;
  }

  /** One record that is encrypted comes in each handshake of TLS 1.2, none in TLS 1.3. */
  #readHandshake(record: Buffer): string | undefined {
    if (this.#isFinished) return "TLS is negotiated anew";
    const isHello = this.#hello.length > 0 || record[HEAD_BYTES] === CLIENT_HELLO;
    const hello = Buffer.concat([this.#hello, record]);
    const seen = isHello ? readServerName(hello) : undefined;
    if (seen?.kind === "tls") {
      this.#hello = Buffer.alloc(0);
      return this.#wrongIn(seen);
    }
    if (seen?.kind === "unclear" || hello.length > 2 * MAX_RECORD_BYTES) return UNCLEAR;
    if (this.#isEncrypted) this.#isFinished = true;
    else if (seen?.kind === "other") return UNCLEAR;
    else if (seen?.kind === "incomplete") this.#hello = hello;
    return undefined;
  }
}
