import { createHash } from "node:crypto";

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/** An id that looks like the real API's (`msg_01…`, `toolu_01…`, `req_01…`), the same for the same seed. */
export function identifier(prefix: "msg" | "toolu" | "req", seed: string): string {
  const digest = createHash("sha256").update(`${prefix}/${seed}`).digest();
  const letters = Array.from(digest.subarray(0, 22), (byte) => ALPHABET[byte % ALPHABET.length] ?? "");
  return `${prefix}_01${letters.join("")}`;
}
