import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import {
  chmod,
  copyFile,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  rmdir,
  symlink,
  unlink,
  utimes,
} from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { parentsOf, pathIn, type RawPath } from "../../proto/index.ts";

/** State of a path of a work tree. */
export type FileState =
  | { kind: "absent" }
  | { kind: "file"; mode: number; sha256: string }
  | { kind: "link"; target: string }
  /** Neither a file nor a link, or behind a link. */
  | { kind: "other"; what: string };

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

/** Reads the state of a path, following no link on the way. A path below a file or a link is absent. */
export async function readState(workTree: string, path: RawPath): Promise<FileState> {
  if ((await findObstacle(workTree, path)) !== undefined) return { kind: "absent" };
  const full = pathIn(workTree, path);
  const stat = await lstat(full).catch(orAbsent);
  if (stat === undefined) return { kind: "absent" };
  if (stat.isSymbolicLink()) {
    return { kind: "link", target: (await readlink(full, { encoding: "buffer" })).toString("latin1") };
  }
  if (!stat.isFile()) return { kind: "other", what: stat.isDirectory() ? "a directory" : "no file" };
  await using file = await open(full, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const hash = createHash("sha256");
  await pipeline(createReadStream("", { fd: file, autoClose: false }), hash);
  return { kind: "file", mode: stat.mode & 0o7777, sha256: hash.digest("hex") };
}

/** Finds the first of the directories above a path that is no directory, but a link or a file. Undefined: there is none. */
export async function findObstacle(workTree: string, path: RawPath): Promise<RawPath | undefined> {
  for (const parent of parentsOf(path)) {
    const stat = await lstat(pathIn(workTree, parent)).catch(orAbsent);
    if (stat === undefined) return undefined;
    if (!stat.isDirectory()) return parent;
  }
  return undefined;
}

/** Finds the first of the directories above a path that is another repository than the known ones. Undefined: there is none. */
export async function findRepositoryAbove(
  workTree: string,
  path: RawPath,
  { known }: { known: readonly RawPath[] },
): Promise<RawPath | undefined> {
  for (const parent of parentsOf(path)) {
    if (known.includes(parent)) continue;
    if ((await lstat(pathIn(workTree, `${parent}/.git`)).catch(orAbsent)) !== undefined) return parent;
  }
  return undefined;
}

/** Returns whether two states are the same to git. Of a file's mode only the user's right to execute it counts. */
export function sameFile(a: FileState, b: FileState): boolean {
  if (a.kind === "file" && b.kind === "file") return a.sha256 === b.sha256 && isExecutable(a) === isExecutable(b);
  if (a.kind === "link" && b.kind === "link") return a.target === b.target;
  return a.kind === "absent" && b.kind === "absent";
}

function isExecutable({ mode }: { mode: number }): boolean {
  return (mode & 0o100) !== 0;
}

/** Directories above files, with their modes. */
export type DirectoryModes = ReadonlyMap<RawPath, number>;

/** Reads the modes of the directories above some paths. Those that are not there, or lie behind a link, are not among them. */
export async function readDirectories(workTree: string, paths: readonly RawPath[]): Promise<DirectoryModes> {
  const modes = new Map<RawPath, number>();
  for (const parent of new Set(paths.flatMap(parentsOf))) {
    if ((await findObstacle(workTree, `${parent}/`)) !== undefined) continue;
    const stat = await lstat(pathIn(workTree, parent)).catch(orAbsent);
    if (stat !== undefined) modes.set(parent, stat.mode & 0o7777);
  }
  return modes;
}

/**
 * Copies a file or link of a work tree to the same path below a directory of ours, and returns its size in bytes. A file
 * keeps its mode and times.
 */
export async function copyAside(workTree: string, path: RawPath, to: string): Promise<number> {
  const parents = parentsOf(path);
  for (const parent of parents) await mkdir(pathIn(to, parent)).catch(unlessThere);
  const [source, target] = [pathIn(workTree, path), pathIn(to, path)];
  const stat = await lstat(source);
  if (stat.isSymbolicLink()) await symlink(await readlink(source, { encoding: "buffer" }), target);
  else {
    await copyFile(source, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    await setFacts(target, stat);
  }
  return stat.size;
}

/** Sets the mode of a file of ours. */
export async function setMode(directory: string, path: RawPath, mode: number): Promise<void> {
  await chmod(pathIn(directory, path), mode);
}

/** Only for what has just been made here: it follows links. */
async function setFacts(
  path: Buffer,
  { mode, atime, mtime }: { mode: number; atime: Date; mtime: Date },
): Promise<void> {
  await chmod(path, mode & 0o7777);
  await utimes(path, atime, mtime);
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
    await unlink(pathIn(workTree, path));
  } else if ((await findObstacle(workTree, path)) !== undefined) return;
  // It may also have been removed by somebody who was killed before this, or not have come to be in a directory made for it.
  for (const parent of parentsOf(path).reverse()) {
    if (directories.has(parent)) return;
    try {
      await rmdir(pathIn(workTree, parent));
    } catch {
      // It holds something else.
      return;
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
  const blocked = found.kind === "absent" && (await findObstacle(workTree, path)) !== undefined;
  if (!sameFile(found, from) || blocked) throw new FileChangedError(path);
  for (const parent of parentsOf(path)) {
    const made = await mkdir(pathIn(workTree, parent)).then(() => true, unlessThere);
    const mode = directories.get(parent);
    if (made === true && mode !== undefined) await chmod(pathIn(workTree, parent), mode);
  }
  const target = pathIn(workTree, path);
  const beside = besideOf(workTree, path, mark);
  await unlink(beside).catch(orAbsent);
  const given = pathIn(source, path);
  const stat = await lstat(given);
  if (stat.isSymbolicLink()) await symlink(await readlink(given, { encoding: "buffer" }), beside);
  else {
    await copyFile(given, beside, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    await setFacts(beside, stat);
  }
  try {
    // Once more, as late as can be: rename would take the place of whatever is there.
    const last = await readState(workTree, path);
    if (!sameFile(last, from)) throw new FileChangedError(path);
    if (from.kind === "absent" && to.kind === "file" && (await linked(beside, target))) return;
    await rename(beside, target);
  } finally {
    await unlink(beside).catch(orAbsent);
  }
}

/** Gives a file its name, unless something has that name by now. False: the file system has no links. */
async function linked(from: Buffer, to: Buffer): Promise<boolean> {
  try {
    await link(from, to);
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
    if ((await findObstacle(workTree, path)) === undefined) {
      await unlink(besideOf(workTree, path, mark)).catch(() => undefined);
    }
  }
}

/** Lists all files at any depth below a directory, and what is neither file nor directory, by their paths from the top. */
export async function listFiles(workTree: string, directory: RawPath): Promise<RawPath[]> {
  const files: RawPath[] = [];
  for (const entry of await readdir(pathIn(workTree, directory), { withFileTypes: true, encoding: "buffer" })) {
    const path = `${directory}/${entry.name.toString("latin1")}`;
    if (entry.isDirectory()) files.push(...(await listFiles(workTree, path)));
    else files.push(path);
  }
  return files;
}

function besideOf(workTree: string, path: RawPath, mark: string): Buffer {
  const slash = path.lastIndexOf("/");
  // As short as the longest name.
  return pathIn(workTree, `${path.slice(0, slash + 1)}.${mark}`);
}

function orAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT" && error.code !== "ENOTDIR") throw error;
  return undefined;
}

function unlessThere(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "EEXIST") throw error;
  return undefined;
}
