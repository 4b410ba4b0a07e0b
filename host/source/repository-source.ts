import type { RepositorySpec, UserFiles } from "../../proto/index.ts";

/** Wish of a caller for what goes into a session of where the caller is, as people write it. */
export interface RepositoryWish {
  /** Directory of this machine, address to clone from, or "none". Undefined: the repository that the caller is in. */
  repository?: string | undefined;
  /** Branch, tag or commit of an address. */
  ref?: string | undefined;
  /** Number of commits of history, with the one that is checked out. Default: that one alone. */
  history?: number | "all" | undefined;
  /** Paths, from the directory, of files that go in although git ignores them or they look secret. */
  include?: readonly string[] | undefined;
  /** True: ignored files that match .worktreeinclude go in. Default: as the user has set it. */
  worktreeInclude?: boolean | undefined;
  /** Files and directories of the user's own set-up for Claude Code. Default: as the user has set it; where the session goes on from another one, that one's. */
  userFiles?: readonly string[] | undefined;
  /** True: the session continues another one. Without a repository it has that one's. */
  continues: boolean;
}

/** What was found for a session. */
export interface FoundRepository {
  /** Spec of the repository. Undefined: none, or that of the session before. */
  spec: RepositorySpec | undefined;
  /** The user's own files. Absent: none, or those of the session before. */
  userFiles?: UserFiles;
  /** Reason, in a sentence, why none was found though the caller did not say "none". */
  note?: string;
}

/** Place where a caller is. */
export interface CallerPlace {
  /** Returns the directory that the caller is in. Asked only if the wish names no repository, or a relative path. */
  directory: () => Promise<string>;
  /** Called with the bytes that a host elsewhere has been sent, from time to time. */
  onSent?: ((bytes: number) => void) | undefined;
  signal: AbortSignal;
}

/** Source of what goes into sessions: turns a caller's wish into the parts of the spec that a session is created with. */
export interface RepositorySource {
  /** Finds what a wish names. Throws REPOSITORY_…, REF_…, INCLUDE_…, HISTORY_INVALID, USER_FILE…. */
  find(wish: RepositoryWish, caller: CallerPlace): Promise<FoundRepository>;
}
