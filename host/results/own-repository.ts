import { AppError, type Session } from "../../proto/index.ts";
import { givenPathText } from "../present/path-text.ts";
import { hasCommit, type UserRepository } from "../repository/user-repository.ts";
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
  if (await hasCommit(repository, headCommitId, { signal })) return;
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
