import { GatheredBytes } from "../gathered-bytes.ts";

/** Longest packet, its four digits of length included: https://git-scm.com/docs/protocol-common */
const MAX_PACKET_BYTES = 65_520;

/** Reader of packets up to the first flush, from pieces of any size. Each byte is read once. */
export class SectionReader {
  readonly #gathered = new GatheredBytes();
  readonly #take: (packet: Buffer) => void;
  #at = 0;

  /** Starts with no bytes. `take` gets each packet, without its length, as soon as it is whole. */
  constructor(take: (packet: Buffer) => void) {
    this.#take = take;
  }

  /** All bytes that have come, those behind the flush included. */
  get bytes(): Buffer {
    return this.#gathered.bytes;
  }

  /** Takes the next piece. Returns whether the flush has come. Throws a RangeError for what is no packet. */
  push(piece: Buffer): boolean {
    this.#gathered.push(piece);
    const { bytes } = this.#gathered;
    while (this.#at + 4 <= bytes.length) {
      const digits = bytes.toString("latin1", this.#at, this.#at + 4);
      const length = /^[0-9a-fA-F]{4}$/.test(digits) ? Number.parseInt(digits, 16) : NaN;
      if (length === 0) return true;
      // 1 to 3 are delimiters of protocol 2, and nobody sends an empty packet.
      if (!(length > 4 && length <= MAX_PACKET_BYTES)) throw new RangeError("not a packet");
      if (this.#at + length > bytes.length) return false;
      this.#take(bytes.subarray(this.#at + 4, this.#at + length));
      this.#at += length;
    }
    return false;
  }
}

/** Returns a packet with this content: https://git-scm.com/docs/protocol-common#_pkt_line_format */
export function packet(payload: string | Buffer): Buffer {
  const body = Buffer.from(payload as string);
  return Buffer.concat([Buffer.from((body.length + 4).toString(16).padStart(4, "0")), body]);
}

/** Packet that ends a section. */
export const FLUSH = Buffer.from("0000");

/** Returns the packets of one side band: 1 is data, 2 is text that git shows after "remote: ". */
export function sideBand(band: 1 | 2, data: Buffer): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < data.length; at += MAX_PACKET_BYTES - 5) {
    pieces.push(packet(Buffer.concat([Buffer.from([band]), data.subarray(at, at + MAX_PACKET_BYTES - 5)])));
  }
  return Buffer.concat(pieces);
}
