import {
  chmodSync,
  constants,
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  type Stats,
  symlinkSync,
  unlinkSync,
  utimesSync,
} from "node:fs";
import { copyFile } from "node:fs/promises";
import { parentsOf, pathIn, type RawPath } from "../../proto/index.ts";
import {
  type FileState,
  findObstacle,
  isDone,
  pause,
  PIECE_BYTES,
  readState,
  sameFile,
  statOf,
} from "./file-states.ts";

/** Replacement of a file by another one. Either may be absent. */
export interface Replacement {
  path: RawPath;
  from: FileState;
  to: FileState;
}

/** File that somebody else has changed: it is neither what it was nor what it is to be. */
export class FileChangedError extends Error {
  override readonly name = "FileChangedError";
  readonly path: RawPath;

  constructor(path: RawPath) {
    super(`${path} was changed meanwhile`);
    this.path = path;
  }
}

/** Directories above files, with their modes. */
export type DirectoryModes = ReadonlyMap<RawPath, number>;

/** Reads the modes of the directories above some paths. Those that are not there, or lie behind a link, are not among them. */
export function readDirectories(workTree: string, paths: readonly RawPath[]): DirectoryModes {
  const modes = new Map<RawPath, number>();
  for (const parent of new Set(paths.flatMap(parentsOf))) {
    if (findObstacle(workTree, `${parent}/`) !== undefined) continue;
    const stat = statOf(pathIn(workTree, parent));
    if (stat !== undefined) modes.set(parent, stat.mode & 0o7777);
  }
  return modes;
}

/**
 * Copies a file or link of a work tree to the same path below a directory of ours, and returns its size in bytes: 0 for
 * what is neither. A file keeps its mode and times. Undefined: nothing is there, or it lies behind a link.
 */
export async function copyAside(workTree: string, path: RawPath, to: string): Promise<number | undefined> {
  await pause();
  const source = pathIn(workTree, path);
  const stat = findObstacle(workTree, path) === undefined ? statOf(source) : undefined;
  if (stat === undefined) return undefined;
  if (!stat.isFile() && !stat.isSymbolicLink()) return 0;
  for (const parent of parentsOf(path)) makeDirectory(pathIn(to, parent));
  await copyTo(pathIn(to, path), { source, stat });
  return stat.size;
}

/** Copies a file, with its mode and times, or a link to where nothing is. */
async function copyTo(target: Buffer, { source, stat }: { source: Buffer; stat: Stats }): Promise<void> {
  if (stat.isSymbolicLink()) return symlinkSync(readlinkSync(source, { encoding: "buffer" }), target);
  const flags = constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE;
  if (stat.size > PIECE_BYTES) await copyFile(source, target, flags);
  else copyFileSync(source, target, flags);
  // These would follow a link, but it was just made here.
  chmodSync(target, stat.mode & 0o7777);
  utimesSync(target, stat.atime, stat.mtime);
}

/** Makes a directory. False: something was there. */
function makeDirectory(path: Buffer): boolean {
  return statOf(path) === undefined && isDone(() => mkdirSync(path), "EEXIST");
}

/** Sets the mode of a file of ours. */
export function setMode(directory: string, path: RawPath, mode: number): void {
  chmodSync(pathIn(directory, path), mode);
}

/**
 * Replaces files of a work tree, each in one step, by those below `source`. Files that are to go come first, with
 * directories that are empty then. A file that is replaced already is left alone, so that a second call finishes the first.
 * Every file is read once more just before. `mark` is in the names of files in the making. `directories` stay even if they
 * are empty then, and get these modes where they have to be made. Throws FileChangedError; the caller then takes back the
 * files in `touched`, and no others.
 */
export async function replaceFiles(
  workTree: string,
  replacements: readonly Replacement[],
  {
    source,
    mark,
    touched = new Set(),
    directories = new Map(),
  }: { source: string; mark: string; touched?: Set<RawPath>; directories?: DirectoryModes },
): Promise<void> {
  const replace = async (each: Replacement, how: () => Promise<void>): Promise<void> => {
    touched.add(each.path);
    try {
      await how();
    } catch (error) {
      // It is somebody else's by now, and was left alone.
      if (error instanceof FileChangedError) touched.delete(each.path);
      throw error;
    }
  };
  const gone = replacements.filter(({ to }) => to.kind === "absent");
  // From the bottom: of what lies in a directory and in one below it, the lower comes first.
  for (const each of gone.reverse()) await replace(each, () => removeOne(workTree, each, { directories }));
  for (const each of replacements) {
    if (each.to.kind !== "absent") await replace(each, () => writeOne(workTree, each, { source, mark, directories }));
  }
}

async function removeOne(
  workTree: string,
  { path, from, to }: Replacement,
  { directories }: { directories: DirectoryModes },
): Promise<void> {
  const found = await readState(workTree, path);
  // A file in a directory's place, or the other way, is dealt with after this.
  if (from.kind !== "other" && found.kind === "other") return;
  if (!sameFile(found, to)) {
    if (!sameFile(found, from)) throw new FileChangedError(path);
    unlinkSync(pathIn(workTree, path));
  } else if (findObstacle(workTree, path) !== undefined) return;
  // It may also have been removed by somebody who was killed before this, or not have come to be in a directory made for it.
  for (const parent of parentsOf(path).reverse()) {
    if (directories.has(parent)) return;
    try {
      rmdirSync(pathIn(workTree, parent));
    } catch (error) {
      // Gone already, as whoever was killed on the way up has left it; otherwise it holds something else.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") return;
    }
  }
}

async function writeOne(
  workTree: string,
  { path, from, to }: Replacement,
  { source, mark, directories }: { source: string; mark: string; directories: DirectoryModes },
): Promise<void> {
  const found = await readState(workTree, path);
  if (sameFile(found, to)) return;
  const blocked = found.kind === "absent" && findObstacle(workTree, path) !== undefined;
  if (!sameFile(found, from) || blocked) throw new FileChangedError(path);
  for (const parent of found.kind === "absent" ? parentsOf(path) : []) {
    const mode = directories.get(parent);
    const directory = pathIn(workTree, parent);
    if (makeDirectory(directory) && mode !== undefined) chmodSync(directory, mode);
  }
  const target = pathIn(workTree, path);
  const beside = besideOf(workTree, path, mark);
  const given = pathIn(source, path);
  let isBeside = true;
  try {
    await copyTo(beside, { source: given, stat: lstatSync(given) });
    // Once more, as late as can be: rename would take the place of whatever is there.
    const last = await readState(workTree, path);
    if (!sameFile(last, from)) throw new FileChangedError(path);
    if (from.kind === "absent" && to.kind === "file" && isLinked(beside, target)) return;
    renameSync(beside, target);
    isBeside = false;
  } finally {
    if (isBeside) isDone(() => unlinkSync(beside), "ENOENT", "ENOTDIR");
  }
}

/** Gives a file its name, unless something has that name by now. False: the file system has no links. */
function isLinked(from: Buffer, to: Buffer): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw error;
    return false;
  }
}

/** Removes the files in the making that replacements have left when they were broken off. */
export async function removeLeftovers(
  workTree: string,
  replacements: readonly Replacement[],
  { mark }: { mark: string },
): Promise<void> {
  for (const { path } of replacements) {
    await pause();
    const beside = besideOf(workTree, path, mark);
    try {
      if (findObstacle(workTree, path) === undefined && statOf(beside) !== undefined) unlinkSync(beside);
    } catch {
      // What cannot be removed does not keep the rest from being taken back.
    }
  }
}

function besideOf(workTree: string, path: RawPath, mark: string): Buffer {
  const slash = path.lastIndexOf("/");
  // As short as the longest name.
  return pathIn(workTree, `${path.slice(0, slash + 1)}.${mark}`);
}
