import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { onStateFile } from "../state-directory.ts";

/** Where the host of a state directory says which socket it listens on. */
function addressPath(stateDirectory: string): string {
  return join(stateDirectory, "host.address");
}

/** Address of a host: its socket, and its process. */
export interface HostAddress {
  socket: string;
  /** Id of the process. Undefined: an older version of the host did not say. */
  processId: number | undefined;
}

/**
 * Writes the host's socket and process into its state directory, for fronts with another runtime directory, and for a
 * host that does not answer. Only the holder of the state directory's lock may call it.
 */
export function writeHostAddress(stateDirectory: string, socket: string): void {
  const path = addressPath(stateDirectory);
  onStateFile(path, () => {
    writeFileSync(`${path}.new`, `${socket}\n${process.pid}\n`, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  });
}

/** Returns the address of the last host of a state directory, which may be gone. Undefined: there was none. */
export function readHostAddress(stateDirectory: string): HostAddress | undefined {
  try {
    const [socket = "", processId = ""] = readFileSync(addressPath(stateDirectory), "utf8").split("\n");
    if (socket === "") return undefined;
    return { socket, processId: /^[1-9]\d*$/.test(processId) ? Number(processId) : undefined };
  } catch {
    // None has been there, or it is not ours to read: then there is no host for us.
    return undefined;
  }
}
