import { lstat } from "node:fs/promises";
import { splitPaths, utf8Of } from "../../proto/index.ts";
import type { Identity } from "../process/identity.ts";
import type { BaseRepository } from "./base-repository.ts";
import { type GitPlace, runIn } from "./git.ts";
import { parseReflog, type ReflogEntry } from "./reflog.ts";

/** It may be anything that Claude made of it, also a trap. */
const TIMEOUT_S = 5;
const MAX_OUTPUT_BYTES = 8 * 1024 * 1024;
/** Reasons in a reflog for which HEAD has a commit that was just made. */
const MADE = /^(?:commit|merge|cherry-pick|revert|am|rebase|pull)\b/;
const NOT_MADE = /\((?:start|finish|abort|reset)\)|: fast-forward$/i;

/** Writes the end of HEAD's reflog, and what HEAD says. */
const READ = `cd -- "$1" || exit
[ ! -f .git/logs/HEAD ] || tail -c 65536 -- .git/logs/HEAD | tr -d '\\000'
printf '\\0'
[ ! -f .git/HEAD ] || head -c 4096 -- .git/HEAD | tr -d '\\000'
printf '\\0'`;

/** Writes the files that a commit changed against its first parent. $1 the work tree, $2 the commit. */
const LIST = `cd -- "$1" || exit
export GIT_ALTERNATE_OBJECT_DIRECTORIES="$PWD/.git/objects"
exec git diff-tree -r -z --name-only --no-renames --root --no-commit-id --diff-merges=first-parent "$2"`;

/** Commits that Claude has just made on what is checked out. */
export interface MadeCommits {
  /** Newest one. */
  commitId: string;
  /** First line of its message. */
  subject: string;
  /** Branch that is checked out. Empty: none. */
  branch: string;
  /** Files that the newest one changed. */
  fileCount: number;
  commitCount: number;
}

/** Watch for Claude's commits. Between two of them a look costs one stat. */
export class CommitWatch {
  readonly #workTree: string;
  readonly #place: GitPlace;
  #stamp = "";
  #last: ReflogEntry | undefined;

  constructor({
    workTree,
    base,
    identity,
  }: {
    workTree: string;
    base: BaseRepository;
    identity: Identity | undefined;
  }) {
    this.#workTree = workTree;
    this.#place = { identity, variables: { GIT_DIR: base.gitDir } };
  }

  /** Returns what was committed since the last look. Undefined: nothing, or it cannot be read. Throws for an abort alone. */
  async look({ signal }: { signal: AbortSignal }): Promise<MadeCommits | undefined> {
    const stamp = await stampOf(`${this.#workTree}/.git/logs/HEAD`);
    if (stamp === this.#stamp) return undefined;
    this.#stamp = stamp;
    try {
      const [log = "", head = ""] = splitPaths(await this.#run(READ, [], { signal }));
      const entries = parseReflog(log);
      const { oldId, newId, message } = this.#last ?? {};
      const seen = entries.findLastIndex(
        (entry) => entry.oldId === oldId && entry.newId === newId && entry.message === message,
      );
      this.#last = entries.at(-1);
      const made = entries.slice(seen + 1).filter((entry) => MADE.test(entry.message) && !NOT_MADE.test(entry.message));
      const newest = made.at(-1);
      if (newest === undefined) return undefined;
      const files = splitPaths(await this.#run(LIST, [newest.newId], { signal }));
      return {
        commitId: newest.newId,
        subject: utf8Of(newest.message.replace(/^[^:]*: /, "")),
        branch: utf8Of(/^ref: refs\/heads\/(.*)$/m.exec(head)?.[1] ?? ""),
        fileCount: files.length,
        commitCount: made.length,
      };
    } catch {
      signal.throwIfAborted();
      return undefined;
    }
  }

  async #run(script: string, args: readonly string[], { signal }: { signal: AbortSignal }): Promise<Buffer> {
    const command = ["-s", "KILL", String(TIMEOUT_S), "sh", "-c", script, "sh", this.#workTree, ...args];
    const result = await runIn(this.#place, "timeout", command, { signal, maxOutputBytes: MAX_OUTPUT_BYTES });
    return result.stdout;
  }
}

async function stampOf(path: string): Promise<string> {
  try {
    const { ino, size, mtimeNs } = await lstat(path, { bigint: true });
    return `${ino} ${size} ${mtimeNs}`;
  } catch {
    return "";
  }
}
