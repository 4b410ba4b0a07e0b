import { statfs } from "node:fs/promises";
import { AppError } from "../../proto/index.ts";

/** Less than this is none. */
const NO_BYTES = 1024 * 1024;
const GIB = 1024 ** 3;
/** A checkout that takes more of its room than this is worth a word: a build will not fit. */
const CROWDED_SHARE = 0.8;
/** The part of a session's memory that its host gives each of the three directories, unless it is told otherwise. */
const MEMORY_SHARES = { workTree: 1 / 2, base: 1 / 4, scan: 1 / 8 };

/** Free room in a directory's file system. */
export interface Room {
  bytes: number;
  /** Number of files. Infinity: the file system does not count them. */
  files: number;
}

/** Directory that may be full. */
export interface Bounded {
  directory: string;
  /** Purpose of the directory. It decides the share of memory that it has. */
  use: keyof typeof MEMORY_SHARES;
  /** Returns the bytes that the whole needs at least. Undefined: not known. */
  neededBytes?: () => Promise<number | undefined>;
}

/** Returns the free room of a directory. */
export async function roomIn(directory: string): Promise<Room> {
  const { bavail, bsize, ffree, files } = await statfs(directory);
  // Some file systems do not count files.
  return { bytes: bavail * bsize, files: files === 0 ? Infinity : ffree };
}

/** Returns whether a directory has no room left. One that does not exist is not full. */
export async function isFull(directory: string): Promise<boolean> {
  const room = await roomIn(directory).catch(() => undefined);
  return room !== undefined && (room.bytes < NO_BYTES || room.files <= 0);
}

/**
 * Throws WORKSPACE_FULL if a lack of room explains a failure: a directory is full, or smaller than what is needed. The
 * second is asked because git does not always say why it failed. The error says how much memory to give the session.
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
 * Returns a sentence for users if a checkout has taken most of the room that there was before it. Undefined: it has
 * not.
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
