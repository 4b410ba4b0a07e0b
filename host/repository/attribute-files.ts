import { parentsOf, pathIn, type RawPath } from "../../proto/index.ts";
import { findObstacle, statOf } from "./file-states.ts";

const NAME = ".gitattributes";

/** Returns whether a path is that of a file of attributes. */
export function isAttributes(path: RawPath): boolean {
  return path === NAME || path.endsWith(`/${NAME}`);
}

/**
 * Returns paths with those of attributes last. Where one is no file, git goes by what the index has of it: taken into an index
 * first, it would have others taken by what is to be.
 */
export function attributesLast(paths: readonly RawPath[]): RawPath[] {
  return [...paths.filter((path) => !isAttributes(path)), ...paths.filter(isAttributes)];
}

/**
 * Returns what a work tree has of attributes for some paths: files, and directories of that name, which git takes for files
 * with nothing in them. A link is as none.
 */
export function findAttributes(workTree: string, paths: readonly RawPath[]): { path: RawPath; isFile: boolean }[] {
  const directories = new Set(["", ...paths.flatMap(parentsOf).map((parent) => `${parent}/`)]);
  return Array.from(directories, (directory) => directory + NAME).flatMap((path) => {
    const stat = findObstacle(workTree, path) === undefined ? statOf(pathIn(workTree, path)) : undefined;
    return stat?.isFile() === true || stat?.isDirectory() === true ? [{ path, isFile: stat.isFile() }] : [];
  });
}
