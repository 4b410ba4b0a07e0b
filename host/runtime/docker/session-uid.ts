/** The image has passwd entries for these. */
const FIRST_UID = 20_000;
const SLOTS = 1_000;

/** Distance from a session's uid to that of its start state: a thousand, so that the two ranges never meet. */
export const BASE_UID_OFFSET = SLOTS;

/**
 * Picks a uid for a session at random among the free ones. Undefined: none is free. Sessions never share one: the
 * kernel counts inotify instances and the like by uid, across containers.
 */
export function pickSessionUid(taken: ReadonlySet<number>, random: () => number): number | undefined {
  const free = Array.from({ length: SLOTS }, (_, slot) => FIRST_UID + slot).filter((uid) => !taken.has(uid));
  return free[Math.floor(random() * free.length)];
}

/** Returns whether sessions run under that uid. */
export function isSessionUid(uid: number): boolean {
  return uid >= FIRST_UID && uid < FIRST_UID + SLOTS;
}
