import { expect, test } from "vitest";
import { extended, helloOf } from "../../test/support/client-hello.ts";
import { readServerName } from "./server-name.ts";

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
  const found = { kind: "tls", serverName: "registry.example", mayHideName: false };
  expect(readServerName(hello)).toEqual({ ...found, length: hello.length });
  const parts = fragmented(hello, 11);
  expect(readServerName(parts)).toEqual({ ...found, length: parts.length });
  expect(readServerName(Buffer.concat([hello, Buffer.from("more")]))).toEqual({ ...found, length: hello.length });
});

test("says that a client asks for none", async () => {
  expect(readServerName(await helloOf(undefined))).toMatchObject({ kind: "tls", serverName: undefined });
});

test("says that a hello may hide another name", async () => {
  const hello = extended(await helloOf("registry.example"), 0xfe0d, Buffer.alloc(200, 7));
  expect(readServerName(hello)).toMatchObject({ kind: "tls", serverName: "registry.example", mayHideName: true });
});

/** An extension that asks for names of hosts. */
function names(...hosts: string[]): Buffer {
  const list = Buffer.concat(hosts.map((host) => Buffer.concat([Buffer.from([0, 0, host.length]), Buffer.from(host)])));
  return Buffer.concat([Buffer.from([list.length >> 8, list.length & 255]), list]);
}

test.each([
  ["a second list of names", (hello: Buffer) => extended(hello, 0, names("b.example"))],
  [
    "a second extension of another kind",
    (hello: Buffer) => extended(extended(hello, 0xfafa, names()), 0xfafa, names()),
  ],
  [
    "something behind it in its record",
    (hello: Buffer) => {
      const longer = Buffer.concat([hello, Buffer.from([20, 0, 0, 0])]);
      longer.writeUInt16BE(longer.length - 5, 3);
      return longer;
    },
  ],
])("takes no name from a hello with %s", async (_what, change) => {
  expect(readServerName(change(await helloOf("a.example")))).toEqual({ kind: "unclear" });
});

test("takes one name for a name, and no more", async () => {
  const plain = await helloOf(undefined);
  expect(readServerName(extended(plain, 0, names("a.example")))).toMatchObject({ serverName: "a.example" });
  for (const other of [names(), names("a.example", "b.example"), Buffer.concat([names("a.example"), names()])]) {
    expect(readServerName(extended(plain, 0, other))).toEqual({ kind: "unclear" });
  }
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
  expect(readServerName(two)).toEqual({ kind: "unclear" });
  for (let position = 5; position < hello.length; position++) {
    const broken = Buffer.from(hello);
    broken[position] = 255;
    expect(["tls", "other", "incomplete", "unclear"]).toContain(readServerName(broken).kind);
  }
});
