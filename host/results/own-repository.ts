import { AppError, type Session } from "../../proto/index.ts";
import { givenPathText } from "../present/path-text.ts";
import { tryGit } from "../repository/git.ts";
import { type UserRepository, userPlace } from "../repository/user-repository.ts";
import { findProject, projectOf } from "../source/project.ts";

/**
 * Throws START_NOT_FOUND where a session worked on another directory than a repository is, unless that one is a clone: it has the
 * commit that was checked out there.
 */
export async function requireOwnRepository(
  session: Session,
  repository: UserRepository,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const { workTree } = repository;
  const project = projectOf(session);
  const { headCommitId = "", receipt } = session.spec?.repository?.snapshot ?? {};
  const directory = receipt?.directory ?? "";
  if (project === undefined || directory === workTree) return;
  if ((await findProject(workTree, { signal })) === project) return;
  const isId = /^[0-9a-f]{40,64}$/.test(headCommitId);
  const find = ["cat-file", "-e", `${headCommitId}^{commit}`];
  if (isId && (await tryGit(userPlace(repository), find, { signal })).code === 0) return;
  const where = directory === "" ? "another repository" : givenPathText(directory);
  throw new AppError(
    "START_NOT_FOUND",
    `Session ${session.id} worked on ${where}, and ${givenPathText(workTree)} is no clone of that.`,
    {
      help: `Change into it. Or write its patch to a file: claudecluster apply ${session.id} --patch FILE.`,
      metadata: { session_id: session.id, directory, work_tree: workTree },
    },
  );
}
