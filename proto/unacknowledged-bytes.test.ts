import { expect, test, vi } from "vitest";
import { TUNNEL_WINDOW_BYTES, TunnelMemory, UnacknowledgedBytes } from "./unacknowledged-bytes.ts";

const text = (bytes: UnacknowledgedBytes, from: number, max = 100) => Buffer.from(bytes.read(from, max)).toString();

test("gives again what was not acknowledged, from any number that is held", () => {
  const bytes = new UnacknowledgedBytes(new TunnelMemory());
  bytes.append(Buffer.from("abc"));
  bytes.append(Buffer.from("defg"));
  expect(text(bytes, 0)).toBe("abcdefg");
  bytes.acknowledge(2);
  expect(text(bytes, 2, 3)).toBe("cde");
  bytes.append(Buffer.from("h"));
  expect(text(bytes, 5)).toBe("fgh");
  expect(bytes.holds(1)).toBe(false);
  expect(bytes.holds(9)).toBe(false);
  expect(() => bytes.read(1, 1)).toThrow(RangeError);
  bytes.acknowledge(1);
  bytes.acknowledge(900);
  expect(text(bytes, 2)).toBe("cdefgh");
  bytes.clear();
  expect(bytes.totalBytes).toBe(8);
  bytes.append(Buffer.from("i"));
  expect(text(bytes, 8)).toBe("i");
});

test("is the same whatever the pieces and the acknowledgements are", () => {
  const bytes = new UnacknowledgedBytes(new TunnelMemory());
  const all = Buffer.from(Array.from({ length: 50_000 }, (_, index) => (index * 7) % 251));
  let acknowledged = 0;
  for (let at = 0, size = 1; at < all.length; at += size, size = (size * 31) % 977) {
    bytes.append(all.subarray(at, at + size));
    expect(all.subarray(acknowledged, at + size).equals(bytes.read(acknowledged, all.length))).toBe(true);
    acknowledged += Math.floor((bytes.totalBytes - acknowledged) / 3);
    bytes.acknowledge(acknowledged);
  }
});

test("has room for a window, for less where others hold much, and for a little in any case", () => {
  const memory = new TunnelMemory();
  const onRoom = vi.fn();
  memory.onRoom(onRoom);
  const [first, second, third] = [1, 2, 3].map(() => new UnacknowledgedBytes(memory));
  first!.append(Buffer.alloc(TUNNEL_WINDOW_BYTES));
  expect(first!.roomy).toBe(false);
  second!.append(Buffer.alloc(TUNNEL_WINDOW_BYTES - 1));
  expect(second!.roomy).toBe(true);
  third!.append(Buffer.alloc(1));
  expect(second!.roomy).toBe(false);
  expect(third!.roomy).toBe(true);
  third!.append(Buffer.alloc(8 * 1024));
  expect(third!.roomy).toBe(false);
  first!.acknowledge(TUNNEL_WINDOW_BYTES);
  expect(onRoom).toHaveBeenCalledTimes(1);
  expect(third!.roomy).toBe(true);
});

test("takes little memory once little is held, although it was never empty", () => {
  const bytes = new UnacknowledgedBytes(new TunnelMemory());
  const all = Buffer.from(Array.from({ length: TUNNEL_WINDOW_BYTES }, (_, index) => (index * 7) % 251));
  bytes.append(all);
  for (let upTo = 0; upTo < all.length; upTo += 4096) {
    bytes.acknowledge(upTo);
    expect(bytes.bufferBytes).toBeLessThanOrEqual(Math.max(4 * (all.length - upTo), 8 * 1024));
  }
  bytes.acknowledge(all.length - 3);
  expect(bytes.bufferBytes).toBeLessThanOrEqual(8 * 1024);
  expect(all.subarray(-3).equals(bytes.read(all.length - 3, 100))).toBe(true);
});

test("takes little memory whatever the pieces are, and keeps large ones without a copy", () => {
  const bytes = new UnacknowledgedBytes(new TunnelMemory());
  const large = Buffer.alloc(16 * 1024, 1);
  const expected: Buffer[] = [];
  for (let count = 0; count < 200; count++) {
    for (const piece of [
      Buffer.alloc(1, 2),
      large,
      Buffer.alloc(300, 3),
      Buffer.alloc(100_000).subarray(0, 16 * 1024),
    ]) {
      bytes.append(piece);
      expected.push(piece);
      expect(bytes.bufferBytes).toBeLessThanOrEqual(4 * bytes.heldBytes);
    }
  }
  const all = Buffer.concat(expected);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < all.length; at += parts.at(-1)!.length) parts.push(bytes.read(at, 64 * 1024));
  expect(Buffer.concat(parts).equals(all)).toBe(true);
  expect(bytes.read(1, 16 * 1024).buffer).toBe(large.buffer);
});
