import { join } from "node:path";
import { pathIn, type RawPath, rawPathOf, utf8Of } from "../../proto/index.ts";
import { gitLine } from "./git.ts";
import { findObstacle, statOf } from "./file-states.ts";
import type { PreparedChanges } from "./session-changes.ts";
import { takeSnapshot } from "./snapshot.ts";
import { directoryTree, outermost, replaceSubmodules } from "./submodule-trees.ts";
import { selectChanges } from "./rebuild-tree.ts";
import { ABSENT, DIRECTORY, diffTrees } from "./tree-diff.ts";
import type { UserRepository } from "./user-repository.ts";

/** Index of a repository as it is now. */
export interface IndexNow {
  treeId: string;
  /** Copy of it among temporary files, whole and refreshed. Undefined: there is none. */
  file: string | undefined;
}

/** Trees of a user's repository as it is now, which a scratch repository can read. */
export interface TreesNow {
  /** Tree of what is staged. In the place of a submodule it has the files of it as they lie there. */
  index: string;
  /**
   * Tree of the files as they would go into a session: tracked, and untracked that are not ignored; ignored ones too, where
   * the session was given them and has changed them.
   */
  workTree: string;
  /** These ignored ones. */
  ignored: RawPath[];
  /** Submodules whose files are in both trees. */
  submodules: RawPath[];
  /** Indexes of the repository, whose path is empty, and of these submodules. */
  indexes: ReadonlyMap<RawPath, IndexNow>;
}

/**
 * Reads the trees without touching the user's repository. Of the given submodules they have the files, where these are
 * initialised. Throws REPOSITORY_UNMERGED, and what takeSnapshot throws.
 */
export async function readTreesNow(
  { workTree: path }: UserRepository,
  { scratch, start, changes, submodules: given, largePaths }: Omit<PreparedChanges, keyof AsyncDisposable>,
  { signal }: { signal: AbortSignal },
): Promise<TreesNow> {
  const storeDirectory = join(scratch.directory, "now.git");
  const wanted = new Set(given.map((submodule) => utf8Of(submodule.path)));
  const treeOf = (revision: string) => gitLine(scratch.place(), ["rev-parse", revision], { signal });
  const take = async (include: readonly RawPath[]) => {
    const taken = await takeSnapshot({
      path,
      storeDirectory,
      include: include.map(utf8Of),
      submodules: wanted,
      largeFiles: largePaths.length > 0,
      signal,
    });
    await scratch.borrow(taken.objectDirectories);
    return { taken, tree: await treeOf(`${taken.untracked}^{tree}`) };
  };
  const first = await take([]);
  const gone = await diffTrees(scratch.place(), [start.treeId, first.tree], { signal });
  const missing = new Set(gone.filter(({ newMode }) => newMode === ABSENT).map((change) => change.path));
  const ignored = changes.map((change) => change.path).filter((file) => missing.has(file) && lies(path, file));
  const { taken: snapshot, tree: workTree } = ignored.length === 0 ? first : await take(ignored);
  const directories = await Promise.all(
    outermost(snapshot.submodules).map(async (submodule) => ({
      path: rawPathOf(submodule.path),
      mode: DIRECTORY as typeof DIRECTORY,
      id: await directoryTree(scratch.place(), workTree, rawPathOf(submodule.path), { signal }),
    })),
  );
  const staged = await treeOf(`${snapshot.index}^{tree}`);
  let withContent = staged;
  if (snapshot.large.length > 0) {
    const tracked = await treeOf(`${snapshot.tracked}^{tree}`);
    // What is staged as it lies there has its content there.
    const changed = new Set((await diffTrees(scratch.place(), [staged, tracked], { signal })).map((file) => file.path));
    const isSame = new Set(snapshot.large.filter((file) => !changed.has(file)));
    const contents = (await diffTrees(scratch.place(), [tracked, workTree], { signal })).filter(
      (file) => file.oldMode !== ABSENT && isSame.has(file.path),
    );
    if (contents.length > 0) withContent = await selectChanges(scratch, staged, contents, { signal });
  }
  const indexes = new Map([["", { treeId: staged, file: snapshot.indexFile }]]);
  for (const { path, index, indexFile } of snapshot.submodules) {
    indexes.set(rawPathOf(path), { treeId: await treeOf(`${index}^{tree}`), file: indexFile });
  }
  return {
    index: await replaceSubmodules(scratch, withContent, directories, { signal }),
    workTree,
    ignored,
    submodules: snapshot.submodules.map((submodule) => rawPathOf(submodule.path)),
    indexes,
  };
}

/** Whether a file, or a link, is at a path that can be named. */
function lies(workTree: string, path: RawPath): boolean {
  if (rawPathOf(utf8Of(path)) !== path) return false;
  const facts = findObstacle(workTree, path) === undefined ? statOf(pathIn(workTree, path)) : undefined;
  return facts?.isFile() === true || facts?.isSymbolicLink() === true;
}
