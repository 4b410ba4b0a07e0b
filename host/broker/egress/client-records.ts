import { type ClientHello, readServerName } from "./server-name.ts";

/** Reason for refusing TLS that is broken or can be read in two ways. */
export const UNCLEAR = "TLS says hello in a way that is not understood";
const ANEW = "TLS is negotiated anew";

const CHANGE_CIPHER_SPEC = 20;
const HANDSHAKE = 22;
const HEARTBEAT = 24;
const CLIENT_HELLO = 1;
/** Type, version and length of a record. */
const RECORD_HEAD_BYTES = 5;
/** Type and length of a handshake message. */
const MESSAGE_HEAD_BYTES = 4;
/** Of a record, encrypted: https://www.rfc-editor.org/rfc/rfc5246#section-6.2.3 */
const MAX_RECORD_BYTES = 16 * 1024 + 2048;
/** Larger than any client's; keys for a quantum computer's time take some thousand bytes. */
const MAX_HELLO_BYTES = 16 * 1024;
/** What ends a handshake of TLS 1.2, encrypted with any cipher. No hello that asks for a name has room behind it. */
const MAX_FINISHED_BYTES = 96;

/**
 * Returns whether a connection's first bytes begin TLS for any server, even one that takes more than it should: records
 * before a hello that some skip (alerts, changes of cipher, empty ones), a version that never was, SSL 2. Undefined:
 * more bytes are needed.
 */
export function beginsTls(bytes: Buffer): boolean | undefined {
  const [type, major] = bytes;
  if (type === undefined) return undefined;
  if (type === HANDSHAKE) return true;
  if (type >= CHANGE_CIPHER_SPEC && type <= HEARTBEAT) {
    // Go's servers take versions up to this: https://go.dev/src/crypto/tls/conn.go
    if (major !== undefined && major >= 0x10) return false;
    return bytes.length < RECORD_HEAD_BYTES ? undefined : bytes.readUInt16BE(3) <= 2;
  }
  // https://www.rfc-editor.org/rfc/rfc5246#appendix-E.2
  if (type < 0x80) return false;
  return bytes.length < 4 ? undefined : bytes[2] === CLIENT_HELLO && bytes[3] === 3;
}

/**
 * Records that a TLS client sends, followed one by one. No way of cutting them raises the work or the memory.
 *
 * They must begin with a hello. A server may ask for a second one (RFC 8446, section 4.1.4), which must ask for the
 * same name; no hello may come once the connection is encrypted (a renegotiation of TLS 1.2).
 */
export class ClientRecords {
  readonly #wrongIn: (hello: ClientHello) => string | undefined;
  /** Of the record, as far as it has come. */
  readonly #head = Buffer.alloc(RECORD_HEAD_BYTES);
  #headBytes = 0;
  /** What is still to come of the record. */
  #bodyBytes = 0;
  /** The rest of the record belongs to a message that may be a hello. */
  #isLookedAt = false;
  /** Room for that message: for its head, and once this is known for all of it. */
  #message = Buffer.alloc(MESSAGE_HEAD_BYTES);
  #messageBytes = 0;
  #hasSaidHello = false;
  #isEncrypted = false;
  #isFinished = false;

  /** Starts with no bytes. `wrongIn` returns why a hello may not be passed on. */
  constructor(wrongIn: (hello: ClientHello) => string | undefined) {
    this.#wrongIn = wrongIn;
  }

  /** Whether a whole first hello has come that may be passed on. */
  get hasSaidHello(): boolean {
    return this.#hasSaidHello;
  }

  /** Looks at the next bytes. Returns why they may not be passed on. Undefined: they may. */
  push(bytes: Buffer): string | undefined {
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + this.#wantedBytes());
      at += part.length;
      const wrong = this.#headBytes < RECORD_HEAD_BYTES ? this.#takeHead(part) : this.#takeBody(part);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }

  /** How many bytes there may be before something is to be decided. */
  #wantedBytes(): number {
    if (this.#headBytes < RECORD_HEAD_BYTES) return RECORD_HEAD_BYTES - this.#headBytes;
    if (!this.#isLookedAt) return this.#bodyBytes;
    // The first byte says what message it is.
    return this.#messageBytes === 0 ? 1 : Math.min(this.#bodyBytes, this.#message.length - this.#messageBytes);
  }

  #takeHead(part: Buffer): string | undefined {
    part.copy(this.#head, this.#headBytes);
    this.#headBytes += part.length;
    if (this.#headBytes < RECORD_HEAD_BYTES) return undefined;
    const [type = 0, major] = this.#head;
    this.#bodyBytes = this.#head.readUInt16BE(3);
    if (type < CHANGE_CIPHER_SPEC || type > HEARTBEAT || this.#bodyBytes > MAX_RECORD_BYTES) return UNCLEAR;
    if (!this.#hasSaidHello && (type !== HANDSHAKE || major !== 3)) return UNCLEAR;
    this.#isLookedAt = type === HANDSHAKE;
    if (this.#isLookedAt && this.#isFinished) return ANEW;
    if (this.#isLookedAt && this.#bodyBytes === 0) return UNCLEAR;
    if (type === CHANGE_CIPHER_SPEC) this.#isEncrypted = true;
    if (this.#bodyBytes === 0) this.#headBytes = 0;
    return undefined;
  }

  #takeBody(part: Buffer): string | undefined {
    this.#bodyBytes -= part.length;
    const wrong = this.#isLookedAt ? this.#takeMessage(part) : undefined;
    if (wrong !== undefined || this.#bodyBytes > 0) return wrong;
    this.#headBytes = 0;
    // What is encrypted is whole in its record: this one began like a hello by chance.
    return this.#isLookedAt && this.#isEncrypted && this.#messageBytes > 0 ? this.#passMessage() : undefined;
  }

  #takeMessage(part: Buffer): string | undefined {
    part.copy(this.#message, this.#messageBytes);
    this.#messageBytes += part.length;
    if (this.#message[0] !== CLIENT_HELLO) return this.#passMessage();
    if (this.#messageBytes < this.#message.length) return undefined;
    if (this.#messageBytes === MESSAGE_HEAD_BYTES) {
      const length = MESSAGE_HEAD_BYTES + this.#message.readUIntBE(1, 3);
      if (length > MAX_HELLO_BYTES) return this.#passMessage();
      this.#message = Buffer.concat([this.#message], length);
      if (this.#messageBytes < length) return undefined;
    }
    // Nothing may be behind it in its record: a server could read it as something else.
    const hello = this.#bodyBytes > 0 ? undefined : readServerName(this.#message.subarray(MESSAGE_HEAD_BYTES));
    this.#forgetMessage();
    const wrong = hello === undefined ? UNCLEAR : this.#wrongIn(hello);
    this.#hasSaidHello ||= wrong === undefined;
    return wrong;
  }

  /** It is no hello that could be read. One record that is encrypted comes in each handshake of TLS 1.2, none in TLS 1.3. */
  #passMessage(): string | undefined {
    const isHello = this.#message[0] === CLIENT_HELLO;
    this.#forgetMessage();
    this.#isLookedAt = false;
    if (!this.#hasSaidHello) return UNCLEAR;
    if (!this.#isEncrypted) return isHello ? UNCLEAR : undefined;
    this.#isFinished = true;
    return this.#head.readUInt16BE(3) > MAX_FINISHED_BYTES ? ANEW : undefined;
  }

  #forgetMessage(): void {
    this.#message = Buffer.alloc(MESSAGE_HEAD_BYTES);
    this.#messageBytes = 0;
  }
}
