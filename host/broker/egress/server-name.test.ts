import { expect, test } from "vitest";
import { extended, helloOf } from "../../../test/support/client-hello.ts";
import { readServerName } from "./server-name.ts";

/** What is read in a hello, without the heads of record and message. */
const read = (hello: Buffer) => readServerName(hello.subarray(9));

test("reads the name that a client asks for", async () => {
  expect(read(await helloOf("Registry.Example"))).toEqual({ serverName: "registry.example", mayHideName: false });
});

test("says that a client asks for none", async () => {
  expect(read(await helloOf(undefined))).toEqual({ serverName: undefined, mayHideName: false });
});

test.each([0xfe0d, 0xfe08, 0xffce])("says that a hello may hide another name, in extension %i", async (type) => {
  const hello = extended(await helloOf("registry.example"), type, Buffer.alloc(200, 7));
  expect(read(hello)).toEqual({ serverName: "registry.example", mayHideName: true });
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
  ["something behind its extensions", (hello: Buffer) => Buffer.concat([hello, Buffer.from([20, 0, 0, 0])])],
])("takes no name from a hello with %s", async (_what, change) => {
  expect(read(change(await helloOf("a.example")))).toBeUndefined();
});

test("takes one name for a name, and no more", async () => {
  const plain = await helloOf(undefined);
  expect(read(extended(plain, 0, names("a.example")))).toMatchObject({ serverName: "a.example" });
  for (const other of [names(), names("a.example", "b.example"), Buffer.concat([names("a.example"), names()])]) {
    expect(read(extended(plain, 0, other))).toBeUndefined();
  }
});

test("finds no name in a broken hello, and one only where there is one", async () => {
  const hello = await helloOf("registry.example");
  const at = hello.indexOf("registry.example");
  const two = Buffer.from(hello);
  // The list claims to hold more than the name.
  two.writeUInt16BE(4, at - 2);
  expect(read(two)).toBeUndefined();
  for (let position = 9; position < hello.length; position++) {
    const broken = Buffer.from(hello);
    broken[position] = 255;
    expect(() => read(broken)).not.toThrow();
  }
});
