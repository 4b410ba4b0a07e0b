/** Reasons in a few words why a session has no prepared container. */
export const MISSES = [
  "none yet",
  "little memory",
  "other image",
  "other limits",
  "other arguments",
  "large repository",
  "too old",
  "did not answer",
] as const;
/** Reason in a few words why a session has no prepared container. */
export type Miss = (typeof MISSES)[number];
