import { create } from "@bufbuild/protobuf";
import { type RepositorySpec, RepositorySpecSchema, SNAPSHOT_REF, SNAPSHOT_URI } from "../../proto/index.ts";
import { git } from "../model/small-repository.ts";
import { startGitServer } from "../support/git-server.ts";

/** What agents fetch a snapshot from, for those whose git connections are carried to `port`. */
export interface SnapshotServer extends AsyncDisposable {
  readonly port: number;
  readonly gitPrefixes: string[];
  readonly repository: RepositorySpec;
}

/** Serves a snapshot of a work tree with these files, as they were committed, for a session in one of its directories. */
export async function startSnapshotServer(
  files: Readonly<Record<string, string>>,
  { subdirectory }: { subdirectory: string },
): Promise<SnapshotServer> {
  const server = await startGitServer();
  // The path by which an agent's git asks for it.
  const name = SNAPSHOT_URI.replace("://", "/");
  await server.addRepository(name, files);
  const inside = (...words: string[]) => git(server.directoryOf(name), ...words);
  const commit = async (parent: string) => {
    const words = ["commit-tree", "HEAD^{tree}", "-p", parent, "-m", "snapshot"];
    return (await inside("-c", "user.name=Test", "-c", "user.email=test@example.com", ...words)).trim();
  };
  const headCommitId = (await inside("rev-parse", "HEAD")).trim();
  const indexCommitId = await commit(headCommitId);
  const trackedCommitId = await commit(indexCommitId);
  const untrackedCommitId = await commit(trackedCommitId);
  await inside("update-ref", SNAPSHOT_REF, untrackedCommitId);
  const ids = { headCommitId, indexCommitId, trackedCommitId, untrackedCommitId };
  return {
    port: server.port,
    gitPrefixes: [`${new URL(SNAPSHOT_URI).origin}/`],
    repository: create(RepositorySpecSchema, { snapshot: { branch: "refs/heads/main", subdirectory, ...ids } }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
