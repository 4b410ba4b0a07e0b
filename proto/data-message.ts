import { create, type DescMessage, type MessageInitShape, ScalarType, toBinary } from "@bufbuild/protobuf";

const NOTHING = new Uint8Array(0);
/** Wire type of bytes: https://protobuf.dev/programming-guides/encoding/#structure */
const LENGTH_DELIMITED = 2;
const MAX_HEAD_BYTES = 10;

/**
 * Encodes a message, its member `data` last, with room in front. These bytes are copied once: protobuf-es does it three
 * times, into memory that it clears. Default: no room, and memory of its own.
 */
export function encodeDataMessage<Desc extends DescMessage>(
  schema: Desc,
  message: MessageInitShape<Desc> & { data?: Uint8Array | undefined },
  { roomBytes = 0, allocate = Buffer.allocUnsafe }: { roomBytes?: number; allocate?: (bytes: number) => Buffer } = {},
): Buffer {
  const { data = NOTHING } = message;
  const others = toBinary(schema, create(schema, { ...message, data: NOTHING } as MessageInitShape<Desc>));
  const head = data.length === 0 ? NOTHING : headOf(schema.field["data"]!.number, data.length);
  const encoded = allocate(roomBytes + others.length + head.length + data.length);
  encoded.set(others, roomBytes);
  encoded.set(head, roomBytes + others.length);
  encoded.set(data, roomBytes + others.length + head.length);
  return encoded;
}

/** Whether a message has bytes that are worth it. */
export function isDataMessage({ field }: DescMessage): boolean {
  return field["data"]?.fieldKind === "scalar" && field["data"].scalar === ScalarType.BYTES;
}

function headOf(fieldNumber: number, length: number): Uint8Array {
  const head = new Uint8Array(MAX_HEAD_BYTES);
  let at = 0;
  for (let rest of [fieldNumber * 8 + LENGTH_DELIMITED, length]) {
    for (; rest > 0x7f; rest >>>= 7) head[at++] = (rest & 0x7f) | 0x80;
    head[at++] = rest;
  }
  return head.subarray(0, at);
}
