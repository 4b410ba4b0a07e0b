import { readFile } from "node:fs/promises";
import { AppError, type RawPath } from "../../proto/index.ts";
import { rawPathText } from "../present/path-text.ts";
import { nameSome } from "../name-some.ts";
import { git, type GitPlace, gitLine, tryGit } from "./git.ts";
import { copyIndex, hashOf, IndexLock, listIndex, parseStage, readIndex, removeStaleLock } from "./index-file.ts";
import type { Journal, JournalEntry, StagedRecord } from "./journal.ts";
import { findObstacles } from "./obstacles.ts";
import { ABSENT, indexInfo } from "./tree-diff.ts";
import { findUnderWay, type UserRepository, userPlace } from "./user-repository.ts";
import { FileChangedError, removeLeftovers, replaceFiles } from "./work-files.ts";

/** Apply that was taken back. */
export interface Undone {
  sessionId: string;
  /** Branch that was removed. Undefined: the apply was to files. */
  branch: string | undefined;
  /** Number of files that are as they were. */
  fileCount: number;
  /**
   * Files that were changed since, and are left as they are: only of an apply that had been broken off. `copy` is a copy
   * from before the apply, if there was one.
   */
  left: { path: RawPath; copy: string | undefined }[];
  /** True: the apply, or an undo of it, had been broken off. */
  unfinished: boolean;
}

/**
 * Takes back the last apply to a work tree, or the last of a session. One that was broken off comes before any other. Files
 * and index are then what they were, to the byte, but for what the user has staged of other files; a branch is gone. Of one
 * that was broken off nobody can say what of it was done: what was changed since is left alone, and the rest taken back.
 * Throws NOTHING_TO_UNDO; UNDO_BLOCKED if something was changed since, and nothing is done then; GIT_UNDER_WAY;
 * INDEX_LOCKED.
 */
export async function undoApply(
  repository: UserRepository,
  { journal, sessionId, signal }: { journal: Journal; sessionId?: string | undefined; signal: AbortSignal },
): Promise<Undone> {
  const entries = journal.entries();
  const unfinished = entries.find(({ record }) => record.state !== "applied");
  const entry = unfinished ?? entries.find(({ record }) => sessionId === undefined || record.sessionId === sessionId);
  if (entry === undefined) {
    const what = sessionId === undefined ? "Nothing" : `Nothing of ${sessionId}`;
    throw new AppError(
      "NOTHING_TO_UNDO",
      `${what} was applied to ${repository.workTree}, or it was taken back already.`,
    );
  }
  const { record } = entry;
  let left: RawPath[] = [];
  const { branch, otherBranches = [] } = record;
  if (branch !== undefined) await removeBranches(repository, [branch, ...otherBranches], { signal });
  else left = await undoFiles(repository, entry, { signal });
  if (left.length > 0) entry.write("ended");
  else entry.remove();
  return {
    sessionId: record.sessionId,
    branch: record.branch?.name,
    fileCount: record.files.length - left.length,
    left: left.map((path) => ({ path, copy: entry.oldCopy(path) })),
    unfinished: record.state !== "applied",
  };
}

/** Takes back the files of an entry: all of them, or those of some paths. Throws FileChangedError. */
export async function takeBack(entry: JournalEntry, paths?: ReadonlySet<RawPath>): Promise<void> {
  const { workTree, mark } = entry.record;
  const replacements = entry.replacements("undo").filter(({ path }) => paths?.has(path) !== false);
  const directories = new Map(entry.record.directories);
  await removeLeftovers(workTree, replacements, { mark });
  await replaceFiles(workTree, replacements, { source: entry.oldFiles, mark, directories });
}

/** Returns the files that were left as they are. */
async function undoFiles(
  repository: UserRepository,
  entry: JournalEntry,
  { signal }: { signal: AbortSignal },
): Promise<RawPath[]> {
  const { record } = entry;
  const { indexFile } = repository;
  const under = findUnderWay(repository);
  if (under !== undefined) {
    throw new AppError("GIT_UNDER_WAY", `${under} is under way in ${repository.workTree}. Nothing was taken back.`, {
      help: "Finish or abort it first.",
    });
  }
  removeStaleLock(indexFile, record.mark);
  using lock = IndexLock.take(indexFile, record.mark);
  // What was in the making is nobody's, and may fill a directory that stands in a file's place.
  await removeLeftovers(record.workTree, entry.replacements("undo"), { mark: record.mark });
  const left = new Set<RawPath>();
  const leave = (paths: readonly { path: RawPath; why: string | undefined }[]): void => {
    if (record.state === "applied")
      throw blocked(paths.map(({ path, why }) => `${rawPathText(path)} ${why ?? "was changed"}`));
    for (const { path } of paths) left.add(path);
  };
  const rest = () => entry.replacements("undo").filter(({ path }) => !left.has(path));
  for (;;) {
    // What is left may be in the way of others.
    const obstacles = await findObstacles(record.workTree, rest());
    if (obstacles.length === 0) break;
    leave(obstacles);
  }
  const index = record.staged && (await oldIndex(repository, entry, record.staged, { leave, signal }));
  const paths = new Set(rest().map(({ path }) => path));
  entry.write("undoing");
  await takeBack(entry, paths).catch((error: unknown) => {
    if (!(error instanceof FileChangedError)) throw error;
    const message = `Changed while it was being taken back: ${rawPathText(error.path)}.`;
    throw new AppError("UNDO_BLOCKED", message, { help: "Take the rest back: claudecluster undo.", cause: error });
  });
  if (index !== undefined) await lock.replaceIndex(index.file);
  return [...left].sort();
}

/** Returns what the index is to become; undefined where it need not change. */
async function oldIndex(
  repository: UserRepository,
  entry: JournalEntry,
  staged: StagedRecord,
  { leave, signal }: { leave: (paths: { path: RawPath; why: string }[]) => void; signal: AbortSignal },
): Promise<{ file: string | undefined } | undefined> {
  const now = await readIndex(repository.indexFile);
  const before = staged.hadIndex ? entry.oldIndex : undefined;
  if (now === undefined) return before === undefined ? undefined : { file: before };
  if (before !== undefined && now.equals(await readFile(before))) return undefined;
  if (hashOf(now) === staged.sha256) return { file: before };
  // git has written the index since: to take note of times, or since the user has staged something.
  const place = userPlace(repository);
  const listing = await listIndex(place, { signal });
  if (hashOf(listing) === staged.listingSha256) return { file: before };
  const there = parseStage(listing);
  const changed = staged.entries.filter(({ path, from, to }) => ![from, to].includes(there.get(path) ?? ""));
  if (changed.length > 0) leave(changed.map(({ path }) => ({ path, why: "was staged otherwise" })));
  // What the user has staged of other files stays.
  const own: GitPlace = { ...place, indexFile: `${entry.oldIndex}.merged` };
  await copyIndex(repository.indexFile, own.indexFile!);
  const changes = staged.entries
    .filter((each) => !changed.includes(each))
    .map(({ path, from, to }) => {
      const [newMode = ABSENT, newId = ""] = from === "" ? [] : from.split(" ");
      return { path, oldMode: "", oldId: to.split(" ")[1] ?? "", newMode, newId };
    });
  const input = indexInfo(changes);
  await git(own, ["update-index", "-z", "--index-info"], { signal, input });
  return { file: own.indexFile };
}

async function removeBranches(
  repository: UserRepository,
  branches: readonly { name: string; commitId: string }[],
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const place = userPlace(repository);
  let input = "";
  for (const { name, commitId } of branches) {
    const ref = `refs/heads/${name}`;
    const line = await gitLine(place, ["for-each-ref", "--format=%(objectname) %(worktreepath)", ref], { signal });
    // It is gone, or never came to be.
    if (line === "") continue;
    if (!line.startsWith(`${commitId} `)) throw blocked([`the branch ${name} has other commits`]);
    if (line.length > commitId.length + 1) throw blocked([`the branch ${name} is checked out`]);
    input += `delete ${ref} ${commitId}\n`;
  }
  const result = await tryGit(place, ["update-ref", "--stdin"], { signal, input });
  if (result.code !== 0) throw blocked(branches.map(({ name }) => `the branch ${name} could not be removed`));
}

function blocked(what: readonly string[]): AppError {
  return new AppError("UNDO_BLOCKED", `Changed since it was applied: ${nameSome(what)}. Nothing was taken back.`, {
    help: "Bring that back to what was applied, or go on with it as it is.",
  });
}
