const UNITS = [
  [24 * 60 * 60, "d"],
  [60 * 60, "h"],
  [60, "min"],
  [1, "s"],
] as const;

/** Returns a time (ms) in its largest unit, as in a list: 12 s, 3 min, 5 d. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [length, unit] = UNITS.find(([length]) => seconds >= length) ?? [1, "s"];
  return `${Math.floor(seconds / length)} ${unit}`;
}
