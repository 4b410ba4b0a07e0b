import { AppError, type RawPath } from "../../proto/index.ts";
import { git, type GitPlace } from "./git.ts";
import type { ObjectFormat } from "./locate.ts";
import { ABSENT } from "./tree-diff.ts";

/** Entry of a tree, for a file or, with the mode of one, for a whole directory. */
export interface TreeEntry {
  /** Mode in git's octal form. "000000": the file is not there. */
  mode: string;
  id: string;
}

/** Commit of ours, as what differs from its parent. */
export interface SyntheticCommit {
  message: string;
  entries: ReadonlyMap<RawPath, TreeEntry>;
  /** Further parents. Default: none. */
  mergedIds?: readonly string[];
}

/** Options of a chain of commits. */
export interface CommitOptions {
  /** Parent of the first commit. Undefined: it has none. */
  parent: string | undefined;
  commits: readonly SyntheticCommit[];
  objectFormat: ObjectFormat;
  signal: AbortSignal;
}

/** Commits get their author and time from nothing but what they are made of. */
const AUTHOR = "ClaudeCluster <claudecluster@localhost>";
/** The name is needed while git makes them, and is gone afterwards. */
const REF = "refs/claudecluster/being-made";
const CONFIG = {
  // Loose objects are made by asking whether somebody has them, which touches the files of who does.
  "fastimport.unpackLimit": "0",
};

/**
 * Makes commits, each the parent of the next, and returns their ids. The same input gives the same ids: they have the time
 * of the first parent. No file that the place borrows objects from is touched, not even its time. No ref is left.
 */
export async function makeCommits(
  place: GitPlace,
  { parent, commits, objectFormat, signal }: CommitOptions,
): Promise<string[]> {
  const when = parent === undefined ? "0 +0000" : await committerTime(place, parent, { signal });
  const parts: string[] = ["feature done\n"];
  commits.forEach(({ message, entries, mergedIds = [] }, at) => {
    parts.push(`commit ${REF}\nmark :${at + 1}\ncommitter ${AUTHOR} ${when}\ndata ${message.length}\n${message}\n`);
    if (at > 0) parts.push(`from :${at}\n`);
    else if (parent !== undefined) parts.push(`from ${parent}\n`);
    for (const id of mergedIds) parts.push(`merge ${id}\n`);
    // What goes comes first: a file may take the place of a directory, and the other way.
    for (const [path, { mode }] of entries) if (mode === ABSENT) parts.push(`D ${quote(path)}\n`);
    for (const [path, { mode, id }] of entries) if (mode !== ABSENT) parts.push(`M ${mode} ${id} ${quote(path)}\n`);
  });
  commits.forEach((_, at) => parts.push(`get-mark :${at + 1}\n`));
  const none = "0".repeat(objectFormat === "sha1" ? 40 : 64);
  parts.push(`reset ${REF}\nfrom ${none}\n\ndone\n`);
  const input = Buffer.from(parts.join(""), "latin1");
  const importing = { ...place, config: { ...place.config, ...CONFIG } };
  const output = await git(importing, ["fast-import", "--quiet", "--force", "--date-format=raw-permissive"], {
    signal,
    input,
  });
  const ids = output.toString().trimEnd().split("\n");
  if (ids.length !== commits.length) throw new AppError("GIT_FAILED", "git fast-import made other commits than asked.");
  return ids;
}

async function committerTime(place: GitPlace, commit: string, options: { signal: AbortSignal }): Promise<string> {
  const text = (await git(place, ["cat-file", "commit", commit], options)).toString("latin1");
  return /^committer .*> (-?\d+ [-+]\d+)$/m.exec(text.split("\n\n", 1)[0]!)?.[1] ?? "0 +0000";
}

/** As git reads a path in quotes: any bytes but these. */
function quote(path: RawPath): string {
  return `"${path.replace(/["\\]/g, "\\$&").replace(/\n/g, "\\n")}"`;
}
