const STORE = "repositories/[A-Za-z0-9_-]{1,80}";
const ID = "[0-9a-f]{40}(?:[0-9a-f]{24})?";

/** Name of the database in a backup, and in the state directory. */
export const DATABASE = "sessions.db";
/** Directories of a state directory that are in a backup: with the database all that a restored host needs. */
export const DIRECTORIES = ["artifacts", "repositories"] as const;

/**
 * What is in a backup, and nothing else: no configuration of git, which may name programs, and no token or key. The rest of a
 * repository's store is made anew.
 */
const ENTRIES = new RegExp(
  `^(?:${[
    DATABASE,
    "artifacts/ses_[A-Za-z0-9]{1,60}\\.[a-z]{1,20}",
    `${STORE}/objects/[0-9a-f]{2}/(?:[0-9a-f]{38}|[0-9a-f]{62})`,
    `${STORE}/objects/pack/pack-${ID}\\.(?:pack|idx|rev)`,
    `${STORE}/uploaded/${ID}`,
    `${STORE}/shallow`,
    `${STORE}/sessions/ses_[A-Za-z0-9]{1,60}/(?:packed-refs|shallow|kept)`,
  ].join("|")})$`,
);

/** Returns whether a file of a state directory belongs into a backup, by its path from there. */
export function isBackedUp(path: string): boolean {
  return ENTRIES.test(path);
}
