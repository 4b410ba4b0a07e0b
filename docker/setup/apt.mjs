import { existsSync, readFileSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { interrupted } from "./main.mjs";
import { work } from "./run.mjs";
import { say } from "./say.mjs";

const PATIENCE_S = 300;

/** True where this process may install packages by itself: root on Debian, Ubuntu or a relative. */
export function canInstall() {
  return process.platform === "linux" && process.getuid?.() === 0 && onPath("apt-get");
}

/**
 * True where there is such a program on the path.
 * @param {string} program
 */
export function onPath(program) {
  const directories = (process.env.PATH ?? "").split(delimiter);
  return directories.some((directory) => directory !== "" && existsSync(join(directory, program)));
}

/**
 * Installs Debian packages, waiting up to five minutes for another apt or dpkg to finish.
 * @param {readonly string[]} packages
 */
export async function aptInstall(packages) {
  say(`installing ${packages.join(", ")} (apt-get)`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  await update(env);
  await work("apt-get", [...install(), ...packages], {
    title: "apt-get install",
    env,
    step: (line) => (/^(Get:|Unpacking|Setting up)/.test(line) ? line : undefined),
  });
}

/**
 * Downloads Debian packages into a directory, and installs none. Needs no root where the package lists are there.
 * @param {readonly string[]} packages
 * @param {string} directory
 */
export async function aptDownload(packages, directory) {
  if (canInstall()) await update(process.env);
  await work("apt-get", ["-o", "Acquire::Retries=3", "-q", "download", ...packages], {
    title: "apt-get download",
    cwd: directory,
    hint: `Run apt-get update, or install ${packages.join(" ")}.`,
  });
}

function install() {
  return [
    "-o",
    `DPkg::Lock::Timeout=${PATIENCE_S}`,
    "-o",
    "Acquire::Retries=3",
    "install",
    "-q",
    "-y",
    "--no-install-recommends",
  ];
}

/**
 * Reads the package lists. A broken source of somebody else's must not stop us: whether they are good enough, the install tells.
 * @param {NodeJS.ProcessEnv} env
 */
async function update(env) {
  await listsUnlocked();
  try {
    await work("apt-get", ["-o", "Acquire::Retries=3", "update", "-q"], { title: "apt-get update", env });
  } catch (error) {
    if (interrupted.aborted) throw error;
    say(/** @type {Error} */ (error).message);
  }
}

// DPkg::Lock::Timeout does not cover the lock of the package lists: apt-get update gives up at once.
async function listsUnlocked() {
  const lock = statSync("/var/lib/apt/lists/lock", { throwIfNoEntry: false });
  if (lock === undefined) return;
  const held = () =>
    readFileSync("/proc/locks", "utf8")
      .split("\n")
      .find((line) => line.includes(`:${lock.ino} `));
  for (let waited = 0; held() && waited < PATIENCE_S; waited++) {
    if (waited === 0) say(`waiting for another apt to finish (process ${held()?.split(/\s+/)[4]})`);
    await sleep(1000, undefined, { signal: interrupted });
  }
}
