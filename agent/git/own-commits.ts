import type { RawPath } from "../../proto/index.ts";
import { git } from "./git.ts";
import { type RawDiffEntry, parseRawDiff } from "./raw-diff.ts";
import type { RepositoryWindow } from "./repository-window.ts";

/** Most commits that are looked at. */
const MAX_COMMITS = 10_000;
const MAX_OUTPUT_BYTES = 32 * 1024 * 1024;
const SUBJECT_COLUMNS = 100;

type Options = { signal: AbortSignal };

/** Commits that are Claude's own: reached from some tips, and from no commit that is known. */
export class OwnCommits {
  readonly #window: RepositoryWindow;
  readonly #parents: ReadonlyMap<string, readonly string[]>;
  readonly #touched = new Map<string, readonly RawPath[]>();

  private constructor(window: RepositoryWindow, parents: ReadonlyMap<string, readonly string[]>) {
    this.#window = window;
    this.#parents = parents;
  }

  /** Searches the commits. A tip that is no commit, or does not exist any more, is passed over. */
  static async find(
    window: RepositoryWindow,
    tips: Iterable<string>,
    known: Iterable<string>,
    { signal }: Options,
  ): Promise<OwnCommits> {
    const wanted = [...new Set(tips)];
    if (wanted.length === 0) return new OwnCommits(window, new Map());
    const input = [...wanted, ...[...new Set(known)].map((id) => `^${id}`), ""].join("\n");
    const flags = ["--parents", `--max-count=${MAX_COMMITS}`, "--ignore-missing", "--stdin"];
    const output = await git(window.place, ["rev-list", ...flags], { input, signal, maxOutputBytes: MAX_OUTPUT_BYTES });
    const lines = output.toString("latin1").split("\n").slice(0, -1);
    return new OwnCommits(
      window,
      new Map(lines.map((line) => line.split(" ")).map(([id = "", ...parents]) => [id, parents])),
    );
  }

  /** Returns whether the commit is an own one. */
  has(id: string): boolean {
    return this.#parents.has(id);
  }

  /** Whether there are more than were looked at. */
  get cut(): boolean {
    return this.#parents.size >= MAX_COMMITS;
  }

  /** Returns those own commits among these that no other of them contains. */
  newestOf(ids: Iterable<string>): string[] {
    const own = [...new Set(ids)].filter((id) => this.has(id));
    const older = this.from(own.flatMap((id) => this.#parents.get(id) ?? []));
    return own.filter((id) => !older.has(id));
  }

  /** Returns all own commits that these contain, themselves included. */
  from(ids: Iterable<string>): Set<string> {
    const found = new Set<string>();
    const pending = [...ids];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const parents = this.#parents.get(next);
      if (parents === undefined || found.has(next)) continue;
      found.add(next);
      pending.push(...parents);
    }
    return found;
  }

  /**
   * Returns the paths that the commits changed. Of a merge these are the files that differ from each of its parents.
   */
  async touchedBy(commits: Iterable<string>, { signal }: Options): Promise<Set<RawPath>> {
    const wanted = [...commits];
    const missing = wanted.filter((id) => !this.#touched.has(id));
    if (missing.length > 0) {
      const flags = ["-r", "-c", "-z", "--raw", "--no-abbrev", "--no-renames", "--root", "--stdin"];
      const output = await git(this.#window.place, ["diff-tree", ...flags], {
        input: `${missing.join("\n")}\n`,
        signal,
        maxOutputBytes: MAX_OUTPUT_BYTES,
      });
      for (const id of missing) this.#touched.set(id, []);
      for (const [id, paths] of parseCommitDiffs(output)) this.#touched.set(id, paths);
    }
    return new Set(wanted.flatMap((id) => this.#touched.get(id) ?? []));
  }
}

/** Reads `diff-tree --stdin -z --raw`: the commit's id, then for each path what became of it, and the path. */
function parseCommitDiffs(output: Buffer): [id: string, paths: RawPath[]][] {
  const commits: [string, RawPath[]][] = [];
  const fields = output.toString("latin1").split("\0");
  for (let at = 0; at < fields.length - 1; at++) {
    const field = fields[at] ?? "";
    if (field.startsWith(":")) commits.at(-1)?.[1].push(fields[++at] ?? "");
    else commits.push([field, []]);
  }
  return commits;
}

/** Returns the differences between two trees, or between the trees of two commits, without renames. */
export async function diffTrees(
  window: RepositoryWindow,
  from: string,
  to: string,
  { signal }: Options,
): Promise<RawDiffEntry[]> {
  const args = ["diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", from, to];
  return parseRawDiff(await git(window.place, args, { signal, maxOutputBytes: MAX_OUTPUT_BYTES }));
}

/** Returns the commit that each id is, or is a tag of. Ids of anything else are left out. */
export async function peelToCommits(
  window: RepositoryWindow,
  ids: readonly string[],
  { signal }: Options,
): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map();
  const input = `${ids.map((id) => `${id}^{commit}`).join("\n")}\n`;
  const options = { input, signal, maxOutputBytes: MAX_OUTPUT_BYTES };
  const output = await git(window.place, ["cat-file", "--batch-check=%(objectname) %(objecttype)"], options);
  const answers = output.toString("latin1").split("\n");
  return new Map(
    ids.flatMap((id, at) => {
      const [commit = "", type] = (answers[at] ?? "").split(" ");
      return type === "commit" ? [[id, commit] as const] : [];
    }),
  );
}

/** Returns the first line of each commit's message, cut, and its parents. Ids that are no commits are left out. */
export async function describeCommits(
  window: RepositoryWindow,
  ids: Iterable<string>,
  { signal }: Options,
): Promise<Map<string, { subject: string; parents: string[] }>> {
  const wanted = [...new Set(ids)];
  if (wanted.length === 0) return new Map();
  const format = `--format=%H %P%x00%<(${SUBJECT_COLUMNS},trunc)%s`;
  const flags = ["--no-walk=unsorted", "--no-commit-header", "--ignore-missing", format, "--stdin"];
  const options = { input: `${wanted.join("\n")}\n`, signal, maxOutputBytes: MAX_OUTPUT_BYTES };
  const lines = (await git(window.place, ["rev-list", ...flags], options)).toString("utf8").split("\n").slice(0, -1);
  return new Map(
    lines.map((line) => {
      const [ids = "", subject = ""] = line.split("\0");
      const [id = "", ...parents] = ids.trim().split(" ");
      return [id, { subject: subject.trim(), parents }];
    }),
  );
}
