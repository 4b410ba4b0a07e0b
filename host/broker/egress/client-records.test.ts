import { expect, onTestFinished, test, vi } from "vitest";
import { extended, fragmented, helloOf } from "../../../test/support/client-hello.ts";
import { beginsTls, ClientRecords, UNCLEAR } from "./client-records.ts";
import { GatheredBytes } from "../gathered-bytes.ts";

const PADDING = 21;

const record = (type: number, ...bytes: number[]) => Buffer.from([type, 3, 3, 0, bytes.length, ...bytes]);
const CHANGE_CIPHER_SPEC = record(20, 1);
const DATA = record(23, ...Buffer.from("data, encrypted"));
const KEY_EXCHANGE = record(22, 16, 0, 0, 2, 1, 2);
/** As TLS 1.2 sends it; its first byte is anything. */
const finished = (first: number) => record(22, first, ...Buffer.alloc(39, 200));

function check(): ClientRecords {
  return new ClientRecords(({ serverName, mayHideName }) =>
    serverName === "a.example" && !mayHideName ? undefined : `asks for ${serverName}`,
  );
}

/** What is said of bytes, whole and byte by byte, and whether a hello was among them. */
function say(...parts: Buffer[]): string | boolean {
  const bytes = Buffer.concat(parts);
  const whole = check();
  const said = whole.push(bytes) ?? whole.hasSaidHello;
  const single = check();
  const wrong = [...bytes].map((byte) => single.push(Buffer.from([byte]))).find((each) => each !== undefined);
  expect(wrong ?? single.hasSaidHello).toBe(said);
  return said;
}

/** What is said of bytes that follow a hello for a.example. */
async function follow(...parts: Buffer[]): Promise<string | undefined> {
  const said = say(await helloOf("a.example"), ...parts);
  return said === true ? undefined : String(said);
}

test("takes a hello in any records, and waits for the rest wherever it is cut", async () => {
  const hello = await helloOf("a.example");
  for (const whole of [hello, fragmented(hello, 11), fragmented(hello, 1)]) {
    expect(say(whole)).toBe(true);
    expect(say(whole, DATA)).toBe(true);
  }
  const parts = fragmented(hello, 50);
  for (let length = 0; length < parts.length; length++) expect(say(parts.subarray(0, length))).toBe(false);
});

test.each<[string, (hello: Buffer) => Buffer | Buffer[]]>([
  ["text", () => Buffer.from("GET / HTTP/1.1\r\n\r\n")],
  ["another handshake message", () => Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0])],
  ["a version that never was", () => Buffer.from([22, 9, 1, 0, 4])],
  ["a hello without end", () => Buffer.from([22, 3, 1, 0, 4, 1, 255, 255, 255])],
  ["a hello with nothing in it", () => Buffer.from([22, 3, 1, 0, 4, 1, 0, 0, 0])],
  ["a record with nothing in it", () => Buffer.from([22, 3, 1, 0, 0])],
  ["a hello larger than any client's", () => Buffer.from([22, 3, 1, 0, 4, 1, 0, 0x50, 0])],
  ["a warning before a hello", (hello) => [Buffer.from([21, 3, 1, 0, 2, 1, 90]), hello]],
  ["a warning within a hello", (hello) => [fragmented(hello, 200).subarray(0, 205), record(21, 1, 90)]],
  [
    "something behind a hello in its record",
    (hello) => {
      const longer = Buffer.concat([hello, Buffer.from([20, 0, 0, 0])]);
      longer.writeUInt16BE(longer.length - 5, 3);
      return longer;
    },
  ],
])("does not take %s for a beginning", async (_what, change) => {
  expect(say(...[change(await helloOf("a.example"))].flat())).toBe(UNCLEAR);
});

test("copies each byte a few times at most, however a hello is cut", async () => {
  const hello = extended(await helloOf("a.example"), PADDING, Buffer.alloc(12_000));
  const bytes = fragmented(hello, 1);
  const concat = vi.spyOn(Buffer, "concat");
  const copy = vi.spyOn(Buffer.prototype, "copy");
  onTestFinished(() => void vi.restoreAllMocks());
  const records = check();
  const gathered = new GatheredBytes();
  for (let at = 0; at < bytes.length; at++) {
    const chunk = bytes.subarray(at, at + 1);
    gathered.push(chunk);
    expect.assert(records.push(chunk) === undefined);
  }
  expect.assert(records.hasSaidHello && gathered.bytes.equals(bytes));
  const copied = [...concat.mock.results, ...copy.mock.results].reduce((sum, { value }) => sum + sizeOf(value), 0);
  expect(copied).toBeGreaterThanOrEqual(2 * bytes.length);
  expect(copied).toBeLessThan(5 * bytes.length);
});

const sizeOf = (value: unknown): number => (Buffer.isBuffer(value) ? value.length : Number(value));

test.each<[string, number[], boolean | undefined]>([
  ["nothing", [], undefined],
  ["a handshake", [22], true],
  ["a handshake of a version that never was", [22, 9, 1, 0, 4], true],
  ["an alert", [21, 3, 1, 0, 2], true],
  ["half of one", [21, 3, 1, 0], undefined],
  ["an empty record of data", [23, 2, 0, 0, 0], true],
  ["SSL 2", [0x80, 46, 1, 3], true],
  ["half of it", [0x80, 46, 1], undefined],
  ["MySQL, a packet of 276 bytes", [20, 1, 0, 1, 0x85], false],
  ["MongoDB, a message of 21 bytes", [21, 0, 0, 0, 7], false],
  ["a number that is large", [0x80, 0, 0, 0], false],
  ["SSH", [...Buffer.from("SSH-2.0")], false],
])("knows whether it begins TLS: %s", (_what, bytes, begins) => {
  expect(beginsTls(Buffer.from(bytes))).toBe(begins);
});

test("passes on what TLS 1.3 and 1.2 send", async () => {
  const again = await helloOf("a.example");
  expect(await follow(CHANGE_CIPHER_SPEC, DATA, DATA)).toBeUndefined();
  expect(await follow(CHANGE_CIPHER_SPEC, again, DATA)).toBeUndefined();
  expect(await follow(DATA, again, CHANGE_CIPHER_SPEC, DATA)).toBeUndefined();
  for (const first of [0, 1, 7]) {
    expect(await follow(KEY_EXCHANGE, CHANGE_CIPHER_SPEC, finished(first), DATA, record(21, 1, 0))).toBeUndefined();
  }
});

test("looks at a second hello as at the first, wherever it comes", async () => {
  const other = await helloOf("b.example");
  const hiding = extended(await helloOf("a.example"), 0xfe0d, Buffer.alloc(8));
  expect(await follow(other)).toBe("asks for b.example");
  expect(await follow(CHANGE_CIPHER_SPEC, other)).toBe("asks for b.example");
  expect(await follow(DATA, DATA, other)).toBe("asks for b.example");
  expect(await follow(hiding)).toBe("asks for a.example");
  expect(await follow(fragmented(other, 100))).toBe("asks for b.example");
  expect(await follow(fragmented(other, 1))).toBe("asks for b.example");
  const parts = fragmented(other, 200);
  expect(await follow(parts.subarray(0, 205), DATA, parts.subarray(205))).toBe("asks for b.example");
  expect(await follow(extended(await helloOf("a.example"), 0, Buffer.from([0, 4, 0, 0, 1, 98])))).toBe(UNCLEAR);
});

test("takes no handshake where it cannot look", async () => {
  const parts = [KEY_EXCHANGE, CHANGE_CIPHER_SPEC, finished(3)];
  expect(await follow(...parts, DATA, finished(9))).toBe("TLS is negotiated anew");
  // One in pieces behind the change could be that, too.
  expect(await follow(CHANGE_CIPHER_SPEC, fragmented(await helloOf("b.example"), 200))).toBe("TLS is negotiated anew");
  expect(await follow(Buffer.from("GET / HTTP/1.1\r\n"))).toBe(UNCLEAR);
  expect(await follow(record(22, 1, 0, 0xff, 0xff, 3, 3))).toBe(UNCLEAR);
  // Behind what ends the handshake there could be one in the same record.
  expect(await follow(KEY_EXCHANGE, CHANGE_CIPHER_SPEC, record(22, 3, ...Buffer.alloc(199, 200)))).toBe(
    "TLS is negotiated anew",
  );
});
