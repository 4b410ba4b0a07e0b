import { once } from "node:events";
import { connect as connectTls } from "node:tls";
import { duplexPair } from "node:stream";
import { expect, test } from "vitest";
import { readServerName } from "./server-name.ts";

/** What a real TLS client says first. */
async function helloOf(servername: string | undefined): Promise<Buffer> {
  const [ours, theirs] = duplexPair();
  const client = connectTls({ socket: ours, ...(servername !== undefined && { servername }) });
  client.on("error", () => {});
  const [hello] = (await once(theirs, "data")) as [Buffer];
  client.destroy();
  theirs.destroy();
  return hello;
}

/** The same hello in records of a few bytes. */
function fragmented(hello: Buffer, size: number): Buffer {
  const body = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < body.length; at += size) {
    const part = body.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
  }
  return Buffer.concat(records);
}

test("reads the name that a client asks for", async () => {
  const hello = await helloOf("Registry.Example");
  expect(readServerName(hello)).toEqual({ kind: "tls", serverName: "registry.example" });
  expect(readServerName(fragmented(hello, 11))).toEqual({ kind: "tls", serverName: "registry.example" });
  expect(readServerName(Buffer.concat([hello, Buffer.from("more")]))).toMatchObject({ serverName: "registry.example" });
});

test("says that a client asks for none", async () => {
  expect(readServerName(await helloOf(undefined))).toEqual({ kind: "tls", serverName: undefined });
});

test("waits for the rest, wherever it is cut", async () => {
  const hello = fragmented(await helloOf("registry.example"), 50);
  for (let length = 0; length < hello.length; length++) {
    expect(readServerName(hello.subarray(0, length)), `${length} bytes`).toEqual({ kind: "incomplete" });
  }
});

test.each([
  ["plain text", Buffer.from("SSH-2.0-OpenSSH_9\r\n")],
  ["HTTP", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
  ["another handshake message", Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0])],
  ["a version that never was", Buffer.from([22, 9, 1, 0, 4])],
  ["a hello without end", Buffer.concat([Buffer.from([22, 3, 1, 0, 4, 1, 255, 255, 255])])],
  ["records without anything in them", Buffer.from([22, 3, 1, 0, 0, 22, 3, 1, 0, 0])],
  ["a hello larger than any client's", Buffer.concat([Buffer.from([22, 3, 1, 0, 4, 1, 0, 0x50, 0])])],
  ["records without a hello", fragmented(Buffer.alloc(80_000, 1), 1000)],
])("takes %s for no TLS", (_what, bytes) => {
  expect(readServerName(bytes)).toEqual({ kind: "other" });
});

test("finds no name in a broken hello, and one only where there is one", async () => {
  const hello = await helloOf("registry.example");
  const at = hello.indexOf("registry.example");
  const two = Buffer.from(hello);
  // The list claims to hold more than the name.
  two.writeUInt16BE(4, at - 2);
  expect(readServerName(two)).toEqual({ kind: "tls", serverName: undefined });
  for (let position = 5; position < hello.length; position++) {
    const broken = Buffer.from(hello);
    broken[position] = 255;
    expect(["tls", "other", "incomplete"]).toContain(readServerName(broken).kind);
  }
});
