import { cutChars, gitFailed, type RawPath, utf8Of } from "../../proto/index.ts";
import { rawPathText } from "../present/path-text.ts";
import { git, gitLine, tryGit } from "./git.ts";
import type { Scratch } from "./scratch.ts";

/** Most of a conflict that is shown (lines). */
const MAX_HUNK_LINES = 40;
const MAX_HUNKS_PER_FILE = 10;
/** Of so many files: to look into each takes two processes. */
const MAX_FILES_WITH_HUNKS = 20;
/** A line is cut there: one can be as long as its file. */
const MAX_LINE_CHARS = 400;
/** Larger files are not looked through for their conflicts (bytes). */
const MAX_LOOKED_AT = 4 * 1024 * 1024;

/** Conflict in a file: two sides have changed it in ways that do not go together. */
export interface Conflict {
  path: RawPath;
  /** Messages of git, such as "CONFLICT (content): Merge conflict in a.ts". */
  messages: string[];
  /**
   * Places in the file, with both sides between git's marks: up to 10 of 40 lines each. Empty: it is not a matter of
   * lines, the file is above 4 MiB, or 20 other files have been looked into.
   */
  hunks: string[];
}

/** Merge of two trees. */
export interface MergedTrees {
  /** Tree of the merge, with git's marks in the files in conflict. */
  treeId: string;
  conflicts: Conflict[];
}

/**
 * Merges what two sides made of the tree `base`, without a work tree or merge driver. The sides' names stand in git's
 * marks. Conflicts are returned, not thrown.
 */
export async function mergeTrees(
  scratch: Scratch,
  base: string,
  sides: readonly [{ name: string; treeId: string }, { name: string; treeId: string }],
  { signal }: { signal: AbortSignal },
): Promise<MergedTrees> {
  const [ours, theirs] = sides;
  if (ours.treeId === base || ours.treeId === theirs.treeId) return { treeId: theirs.treeId, conflicts: [] };
  if (theirs.treeId === base) return { treeId: ours.treeId, conflicts: [] };
  const place = scratch.place();
  const start = await commitTree(scratch, base, { parents: [], message: "start", signal });
  for (const { name, treeId } of sides) {
    const commit = await commitTree(scratch, treeId, { parents: [start], message: name, signal });
    await git(place, ["update-ref", `refs/heads/${name}`, commit], { signal });
  }
  const args = ["merge-tree", "--write-tree", "-z", "--messages", ours.name, theirs.name];
  const result = await tryGit(place, args, { signal });
  if (result.code !== 0 && result.code !== 1) throw gitFailed(args, result);
  const { treeId, paths, messages } = readMerge(result.stdout.toString("latin1"));
  if (result.code === 0) return { treeId, conflicts: [] };
  const conflicts: Conflict[] = [];
  for (const path of new Set([...paths, ...messages.keys()])) {
    const hunks = conflicts.length < MAX_FILES_WITH_HUNKS ? await readHunks(scratch, treeId, path, { signal }) : [];
    conflicts.push({ path, messages: messages.get(path) ?? [], hunks });
  }
  return { treeId, conflicts };
}

/** Makes a commit that is nobody's: for git to merge by. */
async function commitTree(
  scratch: Scratch,
  treeId: string,
  { parents, message, signal }: { parents: readonly string[]; message: string; signal: AbortSignal },
): Promise<string> {
  const config = { ...scratch.place().config, "user.name": "claudecluster", "user.email": "claudecluster@localhost" };
  const flags = parents.flatMap((parent) => ["-p", parent]);
  return await gitLine({ ...scratch.place(), config }, ["commit-tree", treeId, ...flags, "-m", message], { signal });
}

/** Where git says that it has made up a name for a file, in whose place the other side has a directory or a link. */
const ELSEWHERE = /; (?:moving it to [^]* instead|renamed (?:one|both) of them so each can be recorded somewhere)\.$/;

/** Reads what merge-tree writes: the tree, the files in conflict, what is to be said of them. No name in it is made up. */
function readMerge(output: string): { treeId: string; paths: Set<RawPath>; messages: Map<RawPath, string[]> } {
  const fields = output.split("\0");
  const treeId = fields[0] ?? "";
  const found: RawPath[] = [];
  let at = 1;
  for (; at < fields.length && fields[at] !== ""; at++) found.push(fields[at]!.slice(fields[at]!.indexOf("\t") + 1));
  const texts: { named: RawPath[]; text: string }[] = [];
  const real = new Map<RawPath, RawPath>();
  for (at += 1; at + 1 < fields.length;) {
    const count = Number(fields[at]);
    const named = fields.slice(at + 1, at + 1 + count);
    const [kind = "", text = ""] = fields.slice(at + 1 + count, at + 3 + count);
    at += 3 + count;
    const [first, ...others] = named;
    if (first === undefined || !kind.startsWith("CONFLICT")) continue;
    if (kind === "CONFLICT (file/directory)") real.set(first, others[0] ?? first);
    if (kind === "CONFLICT (distinct modes)") for (const other of others) real.set(other, first);
    texts.push({ named, text: text.trim() });
  }
  const realOf = (path: RawPath): RawPath => real.get(path) ?? path;
  const messages = new Map<RawPath, string[]>();
  for (const { named, text } of texts) {
    const path = realOf(named[0]!);
    const shown = messageText(text.replace(ELSEWHERE, "."), [...new Set(named)].sort(longestFirst), realOf);
    messages.set(path, [...(messages.get(path) ?? []), shown]);
  }
  return { treeId, paths: new Set(found.map(realOf)), messages };
}

const longestFirst = (one: string, other: string) => other.length - one.length;

/** A message of git's for people: the paths in it are there as the tree has them. */
function messageText(text: string, [path, ...others]: readonly RawPath[], realOf: (path: RawPath) => RawPath): string {
  if (path === undefined) return utf8Of(text);
  const between = text.split(path).map((part) => messageText(part, others, realOf));
  return between.join(rawPathText(realOf(path)));
}

async function readHunks(
  scratch: Scratch,
  treeId: string,
  path: RawPath,
  { signal }: { signal: AbortSignal },
): Promise<string[]> {
  const place = scratch.place();
  const input = Buffer.from(`${treeId}:${path}\n`, "latin1");
  // A name with a line feed cannot be asked for so; its conflict is named all the same.
  if (path.includes("\n")) return [];
  const found = (await git(place, ["cat-file", "--batch-check"], { signal, input })).toString("latin1");
  const [id = "", type, size] = found.trim().split(" ");
  if (type !== "blob" || Number(size) > MAX_LOOKED_AT) return [];
  const text = (await git(place, ["cat-file", "blob", id], { signal })).toString("utf8");
  const hunks: string[] = [];
  for (const [hunk] of text.matchAll(/^<{7} [^]*?^>{7} .*$/gm)) {
    if (hunks.length >= MAX_HUNKS_PER_FILE) break;
    const lines = hunk.split("\n").map((line) => cutChars(line, MAX_LINE_CHARS));
    const cut = lines.length > MAX_HUNK_LINES ? [...lines.slice(0, MAX_HUNK_LINES), "…"] : lines;
    hunks.push(cut.join("\n"));
  }
  return hunks;
}
