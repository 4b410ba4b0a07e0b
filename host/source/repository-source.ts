import type { RepositorySpec } from "../../proto/index.ts";

/** What somebody says of the repository that a session is to work on, as people write it. */
export interface RepositoryWish {
  /** A directory of this machine, an address to clone from, or "none". Undefined: the one that the caller is in. */
  repository?: string | undefined;
  /** Branch, tag or commit of an address. */
  ref?: string | undefined;
  /** Commits of history that are to be there, the one that is checked out among them. Undefined: that one alone. */
  history?: number | "all" | undefined;
  /** Files of a directory that go in although git ignores them, or they look secret: their paths from there. */
  include?: readonly string[] | undefined;
  /** The session goes on with another one: without a wish it has the repository of that. */
  continues: boolean;
}

/** What a session is to work on. */
export interface FoundRepository {
  /** Undefined: nothing, or what the session before had. */
  spec: RepositorySpec | undefined;
  /** Why there is none though none was refused, in a sentence. */
  note?: string;
}

/** Where a caller is. */
export interface CallerPlace {
  /** The directory that the caller is in. Asked only where the caller names no repository. */
  directory: () => Promise<string>;
  signal: AbortSignal;
}

/** Turns what callers say of a repository into what a session is created with. */
export interface RepositorySource {
  /** Throws REPOSITORY_…, REF_…, INCLUDE_…, HISTORY_INVALID. */
  find(wish: RepositoryWish, caller: CallerPlace): Promise<FoundRepository>;
}
