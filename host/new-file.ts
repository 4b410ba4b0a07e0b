import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { link, open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { AppError } from "../proto/index.ts";

/**
 * Writes a file that is not there yet, for this user alone: whole and on the disk, or not at all. Returns what `fill` returns,
 * which writes its bytes. Throws FILE_UNUSABLE, what `fill` throws, and the system's errors.
 */
export async function writeNewFile<T>(
  path: string,
  fill: (write: (bytes: Uint8Array) => Promise<void>) => Promise<T>,
): Promise<T> {
  requireNone(path);
  await removeLeftovers(path);
  // Not a file of somebody else's, nor of another writer of this one.
  const part = `${path}.${process.pid}-${randomBytes(6).toString("hex")}.part`;
  try {
    const value = await writeSynced(part, fill);
    await give(part, path);
    await using directory = await open(dirname(path));
    await directory.sync();
    return value;
  } finally {
    await rm(part, { force: true });
  }
}

/** Removes what writers of a file have left who were killed. */
async function removeLeftovers(path: string): Promise<void> {
  const start = `${basename(path)}.`;
  for (const name of await readdir(dirname(path))) {
    const pid = name.startsWith(start) && /^(\d+)-[0-9a-f]{12}\.part$/.exec(name.slice(start.length))?.[1];
    if (pid && !runs(Number(pid))) await rm(join(dirname(path), name), { force: true });
  }
}

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** Gives a file its name, if no other has it. */
async function give(part: string, path: string): Promise<void> {
  try {
    await link(part, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw taken(path);
    // Not every file system has a second name for a file.
    requireNone(path);
    await rename(part, path);
  }
}

async function writeSynced<T>(
  path: string,
  fill: (write: (bytes: Uint8Array) => Promise<void>) => Promise<T>,
): Promise<T> {
  await using out = await open(path, "wx", 0o600);
  const value = await fill((bytes) => out.writeFile(bytes));
  await out.sync();
  return value;
}

function requireNone(path: string): void {
  if (existsSync(path)) throw taken(path);
}

function taken(path: string): AppError {
  return new AppError("FILE_UNUSABLE", `${path} is there already.`, { help: "Name another file.", metadata: { path } });
}
