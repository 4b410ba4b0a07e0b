/** Returns a time to the millisecond: "87 ms", "2.041 s", "1:02:03.004". */
export function durationText(ms: number): string {
  const whole = Math.max(0, Math.round(ms));
  if (whole < 1000) return `${whole} ms`;
  if (whole < 60_000) return `${(whole / 1000).toFixed(3)} s`;
  const pad = (value: number, length = 2) => String(value).padStart(length, "0");
  const minutes = Math.floor(whole / 60_000);
  const seconds = `${pad(Math.floor(whole / 1000) % 60)}.${pad(whole % 1000, 3)}`;
  if (minutes < 60) return `${minutes}:${seconds}`;
  return `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${seconds}`;
}
