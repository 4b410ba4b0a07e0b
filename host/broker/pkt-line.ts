/** Longest packet, its four digits of length included: https://git-scm.com/docs/protocol-common */
const MAX_PACKET_BYTES = 65_520;

/** The packets up to the first flush packet, and how many bytes they took with it. */
export interface PacketSection {
  packets: Buffer[];
  bytes: number;
}

/** Reads packets up to the first flush. Undefined: more bytes are needed. Throws a RangeError for what is no such thing. */
export function readSection(bytes: Buffer): PacketSection | undefined {
  const packets: Buffer[] = [];
  for (let at = 0; at + 4 <= bytes.length;) {
    const digits = bytes.toString("latin1", at, at + 4);
    const length = /^[0-9a-fA-F]{4}$/.test(digits) ? Number.parseInt(digits, 16) : NaN;
    if (length === 0) return { packets, bytes: at + 4 };
    // 1 to 3 are delimiters of protocol 2, and nobody sends an empty packet.
    if (!(length > 4 && length <= MAX_PACKET_BYTES)) throw new RangeError("not a packet");
    if (at + length > bytes.length) return undefined;
    packets.push(bytes.subarray(at + 4, at + length));
    at += length;
  }
  return undefined;
}

/** Returns one packet. */
export function packet(payload: string | Buffer): Buffer {
  const body = Buffer.from(payload as string);
  return Buffer.concat([Buffer.from((body.length + 4).toString(16).padStart(4, "0")), body]);
}

/** The packet that ends a section. */
export const FLUSH = Buffer.from("0000");

/** Returns packets of one side band: 1 is data, 2 is text that git shows after "remote: ". */
export function sideBand(band: 1 | 2, data: Buffer): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < data.length; at += MAX_PACKET_BYTES - 5) {
    pieces.push(packet(Buffer.concat([Buffer.from([band]), data.subarray(at, at + MAX_PACKET_BYTES - 5)])));
  }
  return Buffer.concat(pieces);
}
