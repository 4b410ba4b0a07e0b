import { applyToBranch } from "../../host/repository/apply-branch.ts";
import { applyToWorkTree } from "../../host/repository/apply-work-tree.ts";
import { Journal } from "../../host/repository/journal.ts";
import { prepareChanges, type SessionChanges } from "../../host/repository/session-changes.ts";
import { undoApply } from "../../host/repository/undo.ts";
import { findRepository } from "../../host/repository/user-repository.ts";
import type { UserArea } from "./user-area.ts";

const signal = new AbortController().signal;

/** Applies changes to the files of a user's repository, or of another directory. */
export async function applyIn(
  area: UserArea,
  session: SessionChanges,
  options: { stage?: boolean; paths?: string[]; directory?: string; startStores?: string[] } = {},
) {
  const { stage = false, paths = [], directory = area.directory, startStores = [] } = options;
  const repository = await findRepository(directory, { signal });
  await using prepared = await prepareChanges(repository, session, { paths, startStores, signal });
  using journal = Journal.open(area.undoDirectory, repository.workTree);
  return await applyToWorkTree(repository, prepared, { stage, journal, signal });
}

/** Applies changes to a user's repository as a branch. */
export async function branchIn(
  area: UserArea,
  session: SessionChanges,
  { name = "claude/fix-abc123", startStores = [] }: { name?: string; startStores?: string[] } = {},
) {
  const repository = await findRepository(area.directory, { signal });
  await using prepared = await prepareChanges(repository, session, { startStores, signal });
  using journal = Journal.open(area.undoDirectory, repository.workTree);
  return await applyToBranch(repository, prepared, { branch: name, message: "Fix it", journal, signal });
}

/** Takes back the last apply to a user's repository, or to another directory. */
export async function undoIn(area: UserArea, sessionId?: string, directory = area.directory) {
  const repository = await findRepository(directory, { signal });
  using journal = Journal.open(area.undoDirectory, repository.workTree);
  return await undoApply(repository, { journal, sessionId, signal });
}
