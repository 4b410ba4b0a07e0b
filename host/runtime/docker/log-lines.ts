import { FrameDecoder } from "./frame-decoder.ts";
import { printable } from "./printable.ts";

const LONGEST_LINE = 1_000;
/** The engine gives the last lines; one without an end can be as long as the log. */
const LOOKED_AT_BYTES = 64 * 1024;

/** Returns the last lines of a log in the engine's frames, fit to be shown. */
export function lastLines(log: Buffer, count: number): string[] {
  const pieces = new FrameDecoder().decode(log).map(({ bytes }) => bytes);
  const end = Buffer.concat(pieces).subarray(-LOOKED_AT_BYTES);
  return end
    .toString("utf8")
    .split("\n")
    .map((line) => printable(line, LONGEST_LINE))
    .filter((line) => line !== "")
    .slice(-count);
}
