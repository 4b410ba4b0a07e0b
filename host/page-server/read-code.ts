import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { isMembers, parseJson } from "../broker/json.ts";

/** Time for the code to come, which is a few bytes (ms). */
const WITHIN_MS = 10_000;

/** Reads the code that a browser signs in with; "" for what is none. Rejects when it is cut, as one that is slow is. */
export async function readCode(request: Readable, { withinMs = WITHIN_MS } = {}): Promise<string> {
  const timer = setTimeout(() => request.destroy(), withinMs);
  try {
    const body = parseJson(await text(request));
    const code = isMembers(body) ? body["code"] : undefined;
    return typeof code === "string" ? code : "";
  } finally {
    clearTimeout(timer);
  }
}
