import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { onStateFile } from "../state-directory.ts";

/** Where the host of a state directory says which socket it listens on. */
function addressPath(stateDirectory: string): string {
  return join(stateDirectory, "host.address");
}

/**
 * Leaves word of the host's socket in its state directory, for fronts whose environment has another
 * runtime directory. Only whoever holds the state directory's lock may call it.
 */
export function writeHostAddress(stateDirectory: string, socket: string): void {
  const path = addressPath(stateDirectory);
  onStateFile(path, () => {
    writeFileSync(`${path}.new`, socket, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  });
}

/** The socket of the last host of a state directory, which may be gone. Undefined if there was none. */
export function readHostAddress(stateDirectory: string): string | undefined {
  try {
    return readFileSync(addressPath(stateDirectory), "utf8") || undefined;
  } catch {
    // None has been there, or it is not ours to read: then there is no host for us.
    return undefined;
  }
}
