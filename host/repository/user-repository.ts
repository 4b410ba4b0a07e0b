import { givenPathText } from "../present/path-text.ts";
import { existsSync, lstatSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "../../proto/index.ts";
import { git, type GitPlace, isObjectId, tryGit } from "./git.ts";

/** Repository of the user's, with a work tree. All paths are absolute. */
export interface UserRepository {
  workTree: string;
  /** Git directory of this work tree. A linked one has its own. */
  gitDirectory: string;
  objectDirectory: string;
  /** Index of the work tree. It need not be there yet. */
  indexFile: string;
  /** File that names the commits whose parents are not there. Undefined: the history is whole. */
  shallowFile: string | undefined;
  objectFormat: string;
}

/** What a user's git may be in the middle of, by what it leaves in the git directory. */
const UNDER_WAY = [
  ["rebase-apply/applying", "git am"],
  ["rebase-apply", "a rebase"],
  ["rebase-merge", "a rebase"],
  ["MERGE_HEAD", "a merge"],
  ["CHERRY_PICK_HEAD", "a cherry-pick"],
  ["REVERT_HEAD", "a revert"],
  // Between two commits of several.
  ["sequencer", "a cherry-pick or revert"],
  ["BISECT_LOG", "a bisect"],
] as const;

/** Finds the repository that a directory is in, by git itself. Throws NOT_A_REPOSITORY if there is none, or a bare one. */
export async function findRepository(directory: string, { signal }: { signal: AbortSignal }): Promise<UserRepository> {
  const place: GitPlace = { settings: "user", cwd: directory };
  const wanted = ["--show-toplevel", "--absolute-git-dir", "--show-object-format"];
  const paths = ["objects", "index", "shallow"].flatMap((path) => ["--git-path", path]);
  const result = await tryGit(place, ["rev-parse", "--path-format=absolute", ...wanted, ...paths], { signal });
  const lines = result.stdout.toString().split("\n");
  const [workTree, gitDirectory, objectFormat, objectDirectory, indexFile, shallow] = lines;
  if (result.code === 0 && lines.length > wanted.length + paths.length / 2 + 1) {
    throw new AppError("NOT_A_REPOSITORY", `${givenPathText(directory)} has a line end in its path.`, {
      help: "Rename it.",
    });
  }
  if (result.code !== 0 || shallow === undefined) {
    throw new AppError("NOT_A_REPOSITORY", `${givenPathText(directory)} is in no git repository with a work tree.`, {
      help: "Change into a clone of the repository that the session worked on, or apply its patch: claudecluster diff SESSION | git apply.",
      metadata: { directory, said: result.stderr.trim() },
    });
  }
  return {
    workTree: workTree!,
    gitDirectory: gitDirectory!,
    objectDirectory: objectDirectory!,
    indexFile: indexFile!,
    shallowFile: existsSync(shallow) ? shallow : undefined,
    objectFormat: objectFormat!,
  };
}

/** Returns the place where git works in a user's repository, with the user's settings. */
export function userPlace({ workTree, gitDirectory }: UserRepository): GitPlace {
  return { settings: "user", cwd: workTree, gitDirectory, workTree };
}

/** Returns whether a user's repository has a commit, by its whole id. */
export async function hasCommit(
  repository: UserRepository,
  id: string,
  { signal }: { signal: AbortSignal },
): Promise<boolean> {
  const place = { ...userPlace(repository), workTree: undefined };
  return isObjectId(id) && (await tryGit(place, ["cat-file", "-e", `${id}^{commit}`], { signal })).code === 0;
}

/** Finds what the user's git is in the middle of, such as "a merge", by its git directory. Undefined: nothing. */
export function findUnderWay({ gitDirectory }: UserRepository): string | undefined {
  const found = UNDER_WAY.find(
    ([path]) => lstatSync(join(gitDirectory, path), { throwIfNoEntry: false }) !== undefined,
  );
  return found?.[1];
}

/** Returns the name and address that the user's git is configured with. Undefined: one of them is missing. */
export async function readIdentity(
  repository: UserRepository,
  { signal }: { signal: AbortSignal },
): Promise<{ name: string; email: string } | undefined> {
  const read = async (key: string): Promise<string> => {
    const result = await tryGit(userPlace(repository), ["config", "--get", key], { signal });
    return result.code === 0 ? result.stdout.toString().trim() : "";
  };
  const [name, email] = await Promise.all([read("user.name"), read("user.email")]);
  return name === "" || email === "" ? undefined : { name, email };
}

/**
 * Copies objects of ours into the user's repository: those that revisions reach, or those of the ids. No ref is made. Throws
 * OUTPUT_TOO_LARGE above 1 GiB.
 */
export async function takeIn(
  repository: UserRepository,
  from: GitPlace,
  objects: { revisions: readonly string[] } | { ids: readonly string[] },
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const byRevision = "revisions" in objects;
  const input = (byRevision ? objects.revisions : [...new Set(objects.ids)]).map((line) => `${line}\n`).join("");
  if (input === "") return;
  const flags = ["--stdout", "-q", ...(byRevision ? ["--revs"] : [])];
  const pack = await git(from, ["pack-objects", ...flags], { signal, input, maxOutputBytes: 1024 * 1024 * 1024 });
  const count = pack.readUInt32BE(8);
  if (count === 0) return;
  const place = { ...userPlace(repository), workTree: undefined };
  // As git fetch does.
  const args = count < 100 ? ["unpack-objects", "-q"] : ["index-pack", "--stdin"];
  await git(place, args, { signal, input: pack });
}
