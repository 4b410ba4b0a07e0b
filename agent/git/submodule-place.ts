/**
 * Submodule's place in the patch: the commit that it is at, the ordinary files that are there, or "other" for anything
 * else.
 */
export type SubmodulePlace = { commitId: string } | "files" | "other";
