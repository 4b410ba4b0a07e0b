import { accessSync, constants, mkdirSync, rmSync } from "node:fs";
import { homedir, tmpdir, userInfo } from "node:os";
import { join } from "node:path";

/** The directory of this user's set-up lock and logs; made on first use, under the temporary directory where home cannot be written. */
export function stateDirectory() {
  const state = process.env.XDG_STATE_HOME || join(homedir(), ".local", "state");
  return (
    usable(join(state, "claudecluster", "setup")) ??
    usable(join(tmpdir(), `claudecluster-${userInfo().uid}`)) ??
    tmpdir()
  );
}

/** @param {string} directory */
function usable(directory) {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    accessSync(directory, constants.W_OK);
    return directory;
  } catch {
    return undefined; // not ours to write: the caller takes the next one
  }
}

/**
 * Hands an empty private directory to `use` and removes it however that ends. One per name, under the set-up lock: what a
 * killed run left behind goes when the next one starts.
 * @template T
 * @param {string} name
 * @param {(directory: string) => Promise<T>} use
 */
export async function withDirectory(name, use) {
  const directory = join(stateDirectory(), name);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { mode: 0o700 });
  try {
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
