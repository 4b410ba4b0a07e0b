import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { TestProject } from "vitest/node";
import { SUITE } from "./leaves-nothing.ts";
import { runningProcesses } from "./processes.ts";

/** For what removes its files by itself, such as a process that was sent a signal. */
const ENDING_MS = 10_000;
// A short name: a host's socket may be far below, and has room for little more.
const NAME = "mem";

/**
 * Keeps a project's temporary files in memory, where a file is made and removed with less work than on a disk: its tests make
 * thousands of repositories. Below the suite's directory, so it comes after `leaves-nothing.ts`. Only root of Linux can mount it;
 * for others it is a directory like any.
 */
export function setup(project: TestProject): () => Promise<void> {
  const directory = join(tmpdir(), NAME);
  mkdirSync(directory);
  const mounts = process.platform === "linux" && process.getuid?.() === 0;
  if (mounts) {
    removeOld(dirname(tmpdir()));
    execFileSync("mount", ["-t", "tmpfs", "-o", "mode=755,size=4g", "tmpfs", directory]);
  }
  // Sessions of the tests run as other users.
  else chmodSync(directory, 0o755);
  project.config.env = { ...project.config.env, TMPDIR: directory };
  return async () => {
    const left = () => readdirSync(directory);
    for (const endMs = Date.now() + ENDING_MS; left().length > 0 && Date.now() < endMs;) await delay(100);
    const all = left();
    if (mounts) execFileSync("umount", ["--lazy", directory]);
    rmSync(directory, { recursive: true });
    if (all.length > 0) throw new Error(`The project left behind: ${all.join(", ")}`);
  };
}

/** Removes what suites have left that were killed together with what would have ended them. */
function removeOld(suites: string): void {
  const mounts = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "");
  for (const mount of mounts) {
    const suite = dirname(mount);
    if (dirname(suite) !== suites || !basename(suite).startsWith(SUITE) || basename(mount) !== NAME) continue;
    // What watches a suite is there as long as that.
    if (runningProcesses().some(({ command }) => command.endsWith(` ${suite}`))) continue;
    execFileSync("umount", ["--lazy", mount]);
    rmSync(suite, { recursive: true, force: true });
  }
}
