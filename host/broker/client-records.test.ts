import { expect, test } from "vitest";
import { extended, helloOf } from "../../test/support/client-hello.ts";
import { ClientRecords, UNCLEAR } from "./client-records.ts";

const record = (type: number, ...bytes: number[]) => Buffer.from([type, 3, 3, 0, bytes.length, ...bytes]);
const CHANGE_CIPHER_SPEC = record(20, 1);
const DATA = record(23, ...Buffer.from("data, encrypted"));
const KEY_EXCHANGE = record(22, 16, 0, 0, 2, 1, 2);
/** As TLS 1.2 sends it; its first byte is anything. */
const finished = (first: number) => record(22, first, ...Buffer.alloc(39, 200));

/** What is said of bytes that follow a hello for a.example, whole and byte by byte. */
function follow(...parts: Buffer[]): string | undefined {
  const check = () =>
    new ClientRecords(({ serverName, mayHideName }) =>
      serverName === "a.example" && !mayHideName ? undefined : `asks for ${serverName}`,
    );
  const bytes = Buffer.concat(parts);
  const whole = check().push(bytes);
  const single = check();
  expect([...bytes].map((byte) => single.push(Buffer.from([byte]))).find((wrong) => wrong !== undefined)).toBe(whole);
  return whole;
}

/** A hello cut into records of so many bytes. */
const cut = (hello: Buffer, size: number): Buffer[] =>
  Array.from({ length: Math.ceil((hello.length - 5) / size) }, (_, index) =>
    record(22, ...hello.subarray(5 + index * size, Math.min(hello.length, 5 + (index + 1) * size))),
  );

test("passes on what TLS 1.3 and 1.2 send", async () => {
  const again = await helloOf("a.example");
  expect(follow(CHANGE_CIPHER_SPEC, DATA, DATA)).toBeUndefined();
  expect(follow(CHANGE_CIPHER_SPEC, again, DATA)).toBeUndefined();
  expect(follow(DATA, again, CHANGE_CIPHER_SPEC, DATA)).toBeUndefined();
  for (const first of [0, 1, 7]) {
    expect(follow(KEY_EXCHANGE, CHANGE_CIPHER_SPEC, finished(first), DATA, record(21, 1, 0))).toBeUndefined();
  }
});

test("looks at a second hello as at the first, wherever it comes", async () => {
  const other = await helloOf("b.example");
  const hiding = extended(await helloOf("a.example"), 0xfe0d, Buffer.alloc(8));
  expect(follow(other)).toBe("asks for b.example");
  expect(follow(CHANGE_CIPHER_SPEC, other)).toBe("asks for b.example");
  expect(follow(DATA, DATA, other)).toBe("asks for b.example");
  expect(follow(hiding)).toBe("asks for a.example");
  expect(follow(...cut(other, 100))).toBe("asks for b.example");
  expect(follow(...cut(other, 1))).toBe("asks for b.example");
  const [first, ...rest] = cut(other, 200);
  expect(follow(first!, DATA, ...rest)).toBe("asks for b.example");
  expect(follow(extended(await helloOf("a.example"), 0, Buffer.from([0, 4, 0, 0, 1, 98])))).toBe(UNCLEAR);
});

test("takes no handshake where it cannot look", async () => {
  const parts = [KEY_EXCHANGE, CHANGE_CIPHER_SPEC, finished(3)];
  expect(follow(...parts, DATA, finished(9))).toBe("TLS is negotiated anew");
  // One in pieces behind the change could be that, too.
  expect(follow(CHANGE_CIPHER_SPEC, ...cut(await helloOf("b.example"), 200))).toBe("TLS is negotiated anew");
  expect(follow(Buffer.from("GET / HTTP/1.1\r\n"))).toBe(UNCLEAR);
  expect(follow(record(22, 1, 0, 0xff, 0xff, 3, 3))).toBe(UNCLEAR);
});
