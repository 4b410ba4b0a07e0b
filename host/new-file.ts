import { existsSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
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
  const part = `${path}.part`;
  try {
    await rm(part, { force: true });
    const value = await writeSynced(part, fill);
    requireNone(path);
    await rename(part, path);
    await using directory = await open(dirname(path));
    await directory.sync();
    return value;
  } finally {
    await rm(part, { force: true });
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
  if (!existsSync(path)) return;
  throw new AppError("FILE_UNUSABLE", `${path} is there already.`, { help: "Name another file.", metadata: { path } });
}
