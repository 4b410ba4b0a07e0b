import { randomUUID } from "node:crypto";
import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeStateDirectory, onStateFile } from "./state-directory.ts";

/**
 * Reads the host's id, which labels its containers. It is random, made once, and kept in the state directory, so that two
 * hosts on one engine have different ones. Throws STATE_DIR_UNUSABLE, STATE_DIR_UNSAFE,
 * STATE_FILE_UNUSABLE.
 */
export function readHostId(stateDirectory: string): string {
  const path = join(stateDirectory, "host-id");
  makeStateDirectory(stateDirectory);
  return onStateFile(path, () => {
    makeOnce(path);
    return readFileSync(path, "utf8");
  });
}

function makeOnce(path: string): void {
  const own = `${path}.${process.pid}`;
  try {
    writeFileSync(own, randomUUID(), { mode: 0o600 });
    // Fails where there is one, and is never seen half written: of two processes one wins.
    linkSync(own, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(own, { force: true });
  }
}
