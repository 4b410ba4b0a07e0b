import { AppError, gitFailed, joinPaths, splitPaths } from "../../proto/index.ts";
import type { Identity } from "../process/identity.ts";
import type { BaseRepository } from "./base-repository.ts";
import { git, type GitPlace, runIn, type Script, shell, tryGit } from "./git.ts";
import { ABSENT, GITLINK, parseRawDiff } from "./raw-diff.ts";
import { throwIfFull } from "./room.ts";

/**
 * Applies the patch in stdin to an index of the start and writes how that differs then. Where the patch has other
 * attributes, writes its files once more: git apply has gone by those from before. $1 is the start tree.
 */
const DIFF_APPLIED: Script = {
  name: "apply",
  text: `set -e
export GIT_INDEX_FILE="$GIT_DIR/index.restored"
trap 'rm -f "$GIT_INDEX_FILE"' EXIT
git read-tree "$1"
git apply --cached --whitespace=nowarn
git diff-index --cached --raw -z --no-abbrev --no-renames "$1"
files() { git diff-index --cached --name-only -z --no-renames "$@"; }
if files "$1" | grep -zqE '(^|/)\\.gitattributes$'; then
  files --diff-filter=d "$1" | git -C "$GIT_WORK_TREE" checkout-index -f -q -z --stdin
fi`,
};

/**
 * Applies the patch of an earlier session, which began with the same commit, to a fresh session repository. Tracked
 * files that are ignored, and submodules' commits, go into its index too: they would not count otherwise. Throws
 * PATCH_NOT_APPLIED, WORKSPACE_FULL.
 */
export async function restorePatch(
  { base, workTree, identity }: { base: BaseRepository; workTree: string; identity: Identity | undefined },
  patch: Buffer,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const variables = { GIT_DIR: `${workTree}/.git`, GIT_WORK_TREE: workTree };
  // The patch is against the files as they lie there.
  const place = { identity, variables, config: { "filter.lfs.clean": "", "filter.lfs.smudge": "" } };
  const args = ["-C", workTree, "apply", "--whitespace=nowarn", "-"];
  const result = await tryGit(place, args, { signal, input: patch });
  if (result.code === 0) return await track(place, { workTree, startTree: base.treeId, patch, signal });
  const cause = gitFailed(["apply"], result);
  await throwIfFull([{ directory: workTree, use: "workTree" }], cause);
  const said = cause.metadata["said"] ?? "";
  throw new AppError("PATCH_NOT_APPLIED", `The changes of the session before could not be applied: ${said}.`, {
    cause,
    metadata: { base_commit_id: base.commitId, ...cause.metadata },
    help: "They fit the commit that the session before began with: let the repository's ref name that.",
  });
}

async function track(
  place: GitPlace,
  options: { workTree: string; startTree: string; patch: Buffer; signal: AbortSignal },
): Promise<void> {
  const { workTree, startTree, patch, signal } = options;
  const entries = parseRawDiff(await shell(place, DIFF_APPLIED, [startTree], { signal, input: patch }));
  const added = entries.filter(({ oldMode, newMode }) => oldMode === ABSENT && newMode !== GITLINK);
  const check = ["-C", workTree, "check-ignore", "-z", "--stdin", "--no-index"];
  const input = joinPaths(added.map(({ path }) => `./${path}`));
  const ignored = new Set(splitPaths((await runIn(place, "git", check, { signal, input })).stdout));
  let text = "";
  for (const { path, oldMode, newMode, newId } of entries) {
    const pointer = oldMode === GITLINK || newMode === GITLINK;
    if (pointer && newMode !== GITLINK) text += `0 ${newId}\t${path}\0`;
    else if (pointer || ignored.has(`./${path}`)) text += `${newMode} ${newId}\t${path}\0`;
  }
  if (text === "") return;
  await git(place, ["update-index", "-z", "--index-info"], { signal, input: Buffer.from(text, "latin1") });
}
