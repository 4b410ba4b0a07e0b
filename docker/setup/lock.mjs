// One set-up at a time per user, whatever clone it was started from. The lock is flock(2) on a file that this
// process keeps open: the kernel lets go of it when the process ends, however it ends.
import { spawnSync } from "node:child_process";
import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { interrupted } from "./main.mjs";
import { SetupError, say } from "./say.mjs";
import { stateDirectory } from "./state.mjs";

const POLL_MS = 300;
const O_EXLOCK = 0x20; // macOS and BSD: open(2) takes the lock itself

/**
 * Runs `task` while holding the lock; says for whom it waits.
 * @template T
 * @param {() => Promise<T>} task
 */
export async function withLock(task) {
  const path = join(stateDirectory(), "lock");
  const fd = await acquire(path);
  try {
    ftruncateSync(fd);
    writeSync(fd, `process ${process.pid} in ${process.cwd()}`, 0);
    return await task();
  } finally {
    ftruncateSync(fd);
    closeSync(fd);
  }
}

/** @param {string} path */
async function acquire(path) {
  /** @type {string | undefined} */
  let told;
  for (;;) {
    const fd = tryLock(path);
    if (fd !== undefined) return fd;
    const holder = readFileSync(path, "utf8");
    if (holder && holder !== told) say(`waiting for another set-up to finish (${holder})`);
    told = holder || told;
    await sleep(POLL_MS, undefined, { signal: interrupted });
  }
}

/** @param {string} path */
function tryLock(path) {
  return process.platform === "linux" ? flock(path) : openLocked(path);
}

/**
 * flock(1) locks the open file that it is handed, and leaves: the lock then belongs to our descriptor.
 * @param {string} path
 */
function flock(path) {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  const { status, error } = spawnSync("flock", ["-n", "-x", "3"], { stdio: ["ignore", "ignore", "ignore", fd] });
  if (status === 0) return fd;
  closeSync(fd);
  if (error)
    throw new SetupError('The program "flock" is missing.', { hint: "Install util-linux.", exitCode: 3, cause: error });
  return undefined;
}

/** @param {string} path */
function openLocked(path) {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NONBLOCK | O_EXLOCK, 0o600);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === "EAGAIN") return undefined;
    throw error;
  }
}
