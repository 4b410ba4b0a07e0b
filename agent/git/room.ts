import { statfs } from "node:fs/promises";
import { AppError } from "../../proto/index.ts";

/** Less than this is none. */
const NO_BYTES = 1024 * 1024;
const GIB = 1024 ** 3;
/** A checkout that takes more of its room than this is worth a word: a build will not fit. */
const CROWDED_SHARE = 0.8;
/** The part of a session's memory that its host gives each of the three directories, unless it is told otherwise. */
const MEMORY_SHARES = { workTree: 1 / 2, base: 1 / 4, scan: 1 / 8 };

/** What still fits into a directory's file system. */
export interface Room {
  bytes: number;
  files: number;
}

/** A directory that may be full. */
export interface Bounded {
  directory: string;
  /** What it is for. */
  use: keyof typeof MEMORY_SHARES;
  /** Returns how much all of it would take, at least (bytes). Undefined: nobody knows. */
  neededBytes?: () => Promise<number | undefined>;
}

/** Returns how much room is left. */
export async function roomIn(directory: string): Promise<Room> {
  const { bavail, bsize, ffree, files } = await statfs(directory);
  // Some file systems do not count files.
  return { bytes: bavail * bsize, files: files === 0 ? Infinity : ffree };
}

/** Says whether a directory has no room left. One that is not there is not full. */
export async function isFull(directory: string): Promise<boolean> {
  const room = await roomIn(directory).catch(() => undefined);
  return room !== undefined && (room.bytes < NO_BYTES || room.files <= 0);
}

/**
 * Throws WORKSPACE_FULL if that is why something failed: one of the directories has no room left, or less in all than
 * is needed (what did not fit in the end may have been one large file, and git does not always say why it could not
 * write it). Says what is needed and what to ask for.
 */
export async function throwIfFull(places: readonly Bounded[], cause: unknown): Promise<void> {
  for (const place of places) await throwIfThisIsFull(place, cause);
}

async function throwIfThisIsFull({ directory, use, neededBytes }: Bounded, cause: unknown): Promise<void> {
  const { blocks, bsize } = await statfs(directory);
  const size = blocks * bsize;
  const needed = await neededBytes?.().catch(() => undefined);
  const needs = needed !== undefined && needed > size ? needed : undefined;
  if (needs === undefined && !(await isFull(directory))) return;
  // A little more than that: git's own files are in there, too.
  const memory = Math.ceil((1.1 * (needs ?? 2 * size)) / MEMORY_SHARES[use] / GIB);
  const wants = needs === undefined ? "more is needed" : `about ${amount(needs)} are needed`;
  throw new AppError("WORKSPACE_FULL", `There is no room left in ${directory}: it has ${amount(size)}, ${wants}.`, {
    help: `Give the session more memory: ${memory}g (--memory ${memory}g). Half of it is for files, a quarter for what is fetched; less history takes less.`,
    metadata: {
      directory,
      size_bytes: String(size),
      ...(needs !== undefined && { needed_bytes: String(Math.round(needs)) }),
      memory_bytes: String(memory * GIB),
    },
    cause,
  });
}

/**
 * Says that a checkout has taken most of the room that there was before it, and which memory gives more. Undefined: it
 * has not.
 */
export async function crowdedNotice(directory: string, before: Room): Promise<string | undefined> {
  const taken = before.bytes - (await roomIn(directory)).bytes;
  const share = taken / before.bytes;
  if (!(share > CROWDED_SHARE)) return undefined;
  const memory = Math.ceil((2 * taken) / MEMORY_SHARES.workTree / GIB);
  return `files take ${Math.round(100 * share)}% of their ${amount(before.bytes)}; memory ${memory}g gives more`;
}

function amount(bytes: number): string {
  return bytes >= GIB ? `${(bytes / GIB).toFixed(1)} GiB` : `${Math.ceil(bytes / 1024 ** 2)} MiB`;
}
