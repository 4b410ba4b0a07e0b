import { randomUUID } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Returns the name that this host labels its containers with: random, made once, kept in the state
 * directory. Another host on the same engine has another one.
 */
export function readHostId(stateDirectory: string): string {
  const path = join(stateDirectory, "host-id");
  mkdirSync(stateDirectory, { recursive: true, mode: 0o700 });
  const own = `${path}.${process.pid}`;
  writeFileSync(own, randomUUID(), { mode: 0o600 });
  try {
    // Fails where there is one, and is never seen half written: of two processes one wins.
    linkSync(own, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(own);
  }
  return readFileSync(path, "utf8");
}
