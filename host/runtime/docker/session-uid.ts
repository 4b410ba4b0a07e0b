/** The image has passwd entries for these. */
const FIRST_UID = 20_000;
const SLOTS = 1_000;

/** What the uid of the start state is above the session's: the next thousand, so that the two never meet. */
export const BASE_UID_OFFSET = SLOTS;

/**
 * Picks a uid for a session at random among the free ones, undefined if there is none. Sessions
 * never share one: the kernel counts inotify instances and the like by uid, across containers.
 */
export function pickSessionUid(taken: ReadonlySet<number>, random: () => number): number | undefined {
  const free = Array.from({ length: SLOTS }, (_, slot) => FIRST_UID + slot).filter((uid) => !taken.has(uid));
  return free[Math.floor(random() * free.length)];
}

/** Whether sessions run under that uid. */
export function isSessionUid(uid: number): boolean {
  return uid >= FIRST_UID && uid < FIRST_UID + SLOTS;
}
