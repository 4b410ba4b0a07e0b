/**
 * Submodule's place in the patch: the commit that it is at; the ordinary files that are there; or, where it is neither,
 * whatever is found.
 */
export type SubmodulePlace = { commitId: string } | "files" | "other";
