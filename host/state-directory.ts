import { statSync } from "node:fs";
import { AppError } from "../proto/index.ts";
import { fileProblem, makeProblem, tryToWriteIn } from "./file-problem.ts";
import { makeDirectory } from "./make-directory.ts";

const ELSEWHERE = "or set CLAUDECLUSTER_STATE_DIR to another directory";

/**
 * Makes the state directory, or accepts the one that is there. It must be this user's, and no one else may write to it: its
 * files decide which socket is connected to and which containers are the host's. Throws STATE_DIR_UNUSABLE,
 * STATE_DIR_UNSAFE.
 */
export function makeStateDirectory(path: string): void {
  try {
    makeDirectory(path);
  } catch (error) {
    const { why, cure } = makeProblem(path, error);
    throw unusable(path, why, `${cure}, ${ELSEWHERE}.`, error);
  }
  const facts = statSync(path);
  const own = process.getuid?.();
  if (own === undefined) return;
  if (facts.uid !== own) {
    throw unsafe(path, `belongs to another user (uid ${facts.uid}, this is uid ${own})`, `sudo chown ${own} ${path}`);
  }
  if ((facts.mode & 0o022) !== 0) throw unsafe(path, "can be written by other users", `chmod go-w ${path}`);
}

/**
 * Makes the state directory and tries to write a file in it, which is removed. Throws what `makeStateDirectory` and
 * `onStateFile` throw.
 */
export function tryStateDirectory(path: string): void {
  makeStateDirectory(path);
  onStateFile(path, () => tryToWriteIn(path));
}

/** Runs `act` on a file in the state directory. A refusal of the system becomes STATE_FILE_UNUSABLE; other errors stay. */
export function onStateFile<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    const problem = fileProblem(error);
    if (problem === undefined) throw error;
    throw new AppError("STATE_FILE_UNUSABLE", `${path} cannot be written: ${problem.why}.`, {
      help: `${problem.cure}, ${ELSEWHERE}.`,
      metadata: { path },
      cause: error,
    });
  }
}

function unusable(path: string, why: string, help: string, cause?: unknown): AppError {
  return new AppError("STATE_DIR_UNUSABLE", `The state directory ${path} cannot be used: ${why}.`, {
    help,
    metadata: { path },
    cause,
  });
}

function unsafe(path: string, what: string, command: string): AppError {
  return new AppError("STATE_DIR_UNSAFE", `The state directory ${path} ${what}.`, {
    help: `Make it yours alone (${command}), ${ELSEWHERE}.`,
    metadata: { path },
  });
}
