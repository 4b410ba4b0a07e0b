import { createHash } from "node:crypto";
import { closeSync, constants, lstatSync, openSync, readdirSync, readlinkSync, readSync, type Stats } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import { parentsOf, pathIn, type RawPath } from "../../proto/index.ts";

/** State of a path of a work tree. */
export type FileState =
  | { kind: "absent" }
  | { kind: "file"; mode: number; sha256: string }
  | { kind: "link"; target: string }
  /** Neither a file nor a link, or behind a link. */
  | { kind: "other"; what: string };

/** Most that is read, or copied, of a file at once (bytes). */
export const PIECE_BYTES = 1024 * 1024;
/** Longest that files are worked on before others have their turn (ms). */
const SLICE_MS = 10;

let sliceEnd = 0;

/**
 * Lets others have their turn where a slice of time is over. Calls of the file system are made in line here: to hand one to
 * another thread takes longer than most of them.
 */
export async function pause(): Promise<void> {
  if (performance.now() < sliceEnd) return;
  await nextTurn();
  sliceEnd = performance.now() + SLICE_MS;
}

/** Reads the state of a path, following no link on the way. A path below a file or a link is absent. */
export async function readState(workTree: string, path: RawPath): Promise<FileState> {
  await pause();
  if (findObstacle(workTree, path) !== undefined) return { kind: "absent" };
  const full = pathIn(workTree, path);
  const stat = statOf(full);
  if (stat === undefined) return { kind: "absent" };
  if (stat.isSymbolicLink()) return { kind: "link", target: readlinkSync(full, { encoding: "latin1" }) };
  if (!stat.isFile()) return { kind: "other", what: stat.isDirectory() ? "a directory" : "no file" };
  return { kind: "file", mode: stat.mode & 0o7777, sha256: await hashOf(full, stat.size) };
}

async function hashOf(path: Buffer, size: number): Promise<string> {
  const hash = createHash("sha256");
  const piece = Buffer.allocUnsafe(Math.max(1, Math.min(size, PIECE_BYTES)));
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    for (;;) {
      const length = readSync(file, piece);
      if (length === 0) return hash.digest("hex");
      hash.update(piece.subarray(0, length));
      await pause();
    }
  } finally {
    closeSync(file);
  }
}

/** Finds the first of the directories above a path that is no directory, but a link or a file. Undefined: there is none. */
export function findObstacle(workTree: string, path: RawPath): RawPath | undefined {
  for (const parent of parentsOf(path)) {
    const stat = statOf(pathIn(workTree, parent));
    if (stat === undefined) return undefined;
    if (!stat.isDirectory()) return parent;
  }
  return undefined;
}

/** Finds the first of the directories above a path that is another repository than the known ones. Undefined: there is none. */
export function findRepositoryAbove(
  workTree: string,
  path: RawPath,
  { known }: { known: readonly RawPath[] },
): RawPath | undefined {
  return parentsOf(path).find(
    (parent) => !known.includes(parent) && statOf(pathIn(workTree, `${parent}/.git`)) !== undefined,
  );
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

/** Lists all files at any depth below a directory, and what is neither file nor directory, by their paths from the top. */
export function listFiles(workTree: string, directory: RawPath): RawPath[] {
  return readdirSync(pathIn(workTree, directory), { withFileTypes: true, encoding: "buffer" }).flatMap((entry) => {
    const path = `${directory}/${entry.name.toString("latin1")}`;
    return entry.isDirectory() ? listFiles(workTree, path) : [path];
  });
}

/** Returns what lies at a path, without following a link there. Undefined: nothing. */
export function statOf(path: Buffer): Stats | undefined {
  let stat: Stats | undefined;
  isDone(() => (stat = lstatSync(path, { throwIfNoEntry: false })), "ENOTDIR");
  return stat;
}

/** Does something. False: it failed with one of these codes. */
export function isDone(act: () => void, ...codes: readonly string[]): boolean {
  try {
    act();
    return true;
  } catch (error) {
    if (!codes.includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    return false;
  }
}
