/** A value after a number of sessions. */
export interface Point {
  after: number;
  value: number;
}

/** How much a value grows with each session: the slope of the line that fits best. */
export function growthPerSession(points: readonly Point[]): number {
  const mean = (of: (point: Point) => number) => points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [after, value] = [mean((point) => point.after), mean((point) => point.value)];
  const spread = points.reduce((sum, point) => sum + (point.after - after) ** 2, 0);
  if (spread === 0) return 0;
  return points.reduce((sum, point) => sum + (point.after - after) * (point.value - value), 0) / spread;
}

/**
 * Whether a value grows by more than that with each session and goes on to: over all of the points and over their later
 * half, so that what fills up and stays is none.
 */
export function growsLinearly(points: readonly Point[], perSession: number): boolean {
  const later = points.slice(Math.floor(points.length / 2));
  return [points, later].every((part) => growthPerSession(part) > perSession);
}
