import { clock } from "../../present/status-line.ts";

/** Returns a time to the millisecond: "87 ms", "2.041 s", "1:02:03.004". */
export function durationText(ms: number): string {
  const whole = Math.max(0, Math.round(ms));
  if (whole < 1000) return `${whole} ms`;
  if (whole < 60_000) return `${(whole / 1000).toFixed(3)} s`;
  return `${clock(whole / 1000)}.${String(whole % 1000).padStart(3, "0")}`;
}
