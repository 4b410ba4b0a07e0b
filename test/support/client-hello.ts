import { once } from "node:events";
import { duplexPair } from "node:stream";
import { connect, type ConnectionOptions } from "node:tls";

/** Returns what a real TLS client says first, as one record. */
export async function helloOf(servername: string | undefined, options: ConnectionOptions = {}): Promise<Buffer> {
  const [ours, theirs] = duplexPair();
  const client = connect({ ...options, socket: ours, ...(servername !== undefined && { servername }) });
  client.on("error", () => {});
  const [hello] = (await once(theirs, "data")) as [Buffer];
  client.destroy();
  theirs.destroy();
  return hello;
}

/** Returns a hello with one more extension, at its end. */
export function extended(hello: Buffer, type: number, content: Buffer): Buffer {
  const extension = Buffer.alloc(4 + content.length);
  extension.writeUInt16BE(type, 0);
  extension.writeUInt16BE(content.length, 2);
  content.copy(extension, 4);
  const longer = Buffer.concat([hello, extension]);
  // Record, handshake message, and behind version, random, session id, suites and compression the extensions.
  longer.writeUInt16BE(longer.length - 5, 3);
  longer.writeUIntBE(longer.length - 9, 6, 3);
  let at = 9 + 2 + 32;
  at += 1 + longer.readUInt8(at);
  at += 2 + longer.readUInt16BE(at);
  at += 1 + longer.readUInt8(at);
  longer.writeUInt16BE(longer.length - at - 2, at);
  return longer;
}

/** Returns the same hello in records of so many bytes. */
export function fragmented(hello: Buffer, size: number): Buffer {
  const body = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < body.length; at += size) {
    const part = body.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
  }
  return Buffer.concat(records);
}
