import { lstatSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { AppError, type ErrorReason } from "../../proto/index.ts";
import { makeProblem } from "../file-problem.ts";
import { makeDirectory } from "../make-directory.ts";

/** Longest path of a unix socket on Linux is 107 bytes, on macOS 103. */
const MAX_SOCKET_PATH_BYTES = 103;

/** Returns the path of the host's socket in its runtime directory. */
export function socketPath(runtimeDirectory: string): string {
  return join(runtimeDirectory, "host.sock");
}

/** Checks that a socket in the runtime directory can be reached. Throws RUNTIME_DIR_TOO_LONG. */
export function checkSocketPath(runtimeDirectory: string): void {
  const bytes = Buffer.byteLength(socketPath(runtimeDirectory));
  if (bytes <= MAX_SOCKET_PATH_BYTES) return;
  throw refused(runtimeDirectory, {
    reason: "RUNTIME_DIR_TOO_LONG",
    what: `has too long a path for a socket: ${bytes} bytes with the socket's name, of ${MAX_SOCKET_PATH_BYTES} that are possible`,
    help: "Set CLAUDECLUSTER_RUNTIME_DIR to a shorter one.",
  });
}

/**
 * Makes the directory of the host's socket, or takes an existing one that only this user can write: anybody else could
 * put a socket of their own in the host's place. Throws a FAILED_PRECONDITION error.
 */
export function makeRuntimeDirectory(path: string): void {
  checkSocketPath(path);
  const refuse = (reason: ErrorReason, what: string, help: string, cause?: unknown) =>
    refused(path, { reason, what, help, cause });
  try {
    makeDirectory(path);
  } catch (error) {
    const { why, cure } = makeProblem(path, error);
    throw refuse("RUNTIME_DIR_UNUSABLE", `cannot be made: ${why}`, `${cure}, or set CLAUDECLUSTER_RUNTIME_DIR.`, error);
  }
  const facts = lstatSync(path);
  const uid = process.getuid?.();
  if (!facts.isDirectory() || (uid !== undefined && (facts.uid !== uid || (facts.mode & 0o077) !== 0))) {
    throw refuse(
      "RUNTIME_DIR_UNSAFE",
      "is not a directory of this user alone",
      "Remove it, or chmod 700 it if it is yours, or set CLAUDECLUSTER_RUNTIME_DIR to another one.",
    );
  }
}

/** Removes the socket that an earlier host has left. Throws RUNTIME_DIR_UNUSABLE. */
export function removeSocket(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (error) {
    throw inTheWay(path, makeProblem(path, error).why, error);
  }
}

function inTheWay(socket: string, why: string, cause?: unknown): AppError {
  return refused(dirname(socket), {
    reason: "RUNTIME_DIR_UNUSABLE",
    what: `holds something that is in the way of the socket, ${socket}: ${why}`,
    help: "Move it away, or set CLAUDECLUSTER_RUNTIME_DIR to another directory.",
    cause,
  });
}

function refused(
  path: string,
  { reason, what, help, cause }: { reason: ErrorReason; what: string; help: string; cause?: unknown },
): AppError {
  return new AppError(reason, `The runtime directory ${path} ${what}.`, {
    kind: "FAILED_PRECONDITION",
    help,
    metadata: { path },
    cause,
  });
}
