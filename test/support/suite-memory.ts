import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

/** Where Linux keeps files in memory. */
const MEMORY = "/dev/shm";
/** Five times what unit tests hold at once. */
const NEEDED_BYTES = 1024 ** 3;

/** Directory in memory that goes with a suite's, whether it is there or not. */
export function memoryOf(suiteDirectory: string): string {
  return join(MEMORY, basename(suiteDirectory));
}

/**
 * Makes that directory, for tests that make and remove many small files: ext4 looks long for an inode where many were given back
 * in the seconds before. Returns whether it could: there is room, and programs can be run there.
 */
export function makeMemory(suiteDirectory: string): boolean {
  const directory = memoryOf(suiteDirectory);
  const program = join(directory, "program");
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    if (bavail * bsize < NEEDED_BYTES) return false;
    mkdirSync(directory);
    chmodSync(directory, 0o755);
    writeFileSync(program, "#!/bin/sh\n", { mode: 0o700 });
    execFileSync(program);
    rmSync(program);
    return true;
  } catch {
    rmSync(directory, { recursive: true, force: true });
    return false;
  }
}
