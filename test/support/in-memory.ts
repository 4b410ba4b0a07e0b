import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { TestProject } from "vitest/node";

/** For what removes its files by itself, such as a process that was sent a signal. */
const ENDING_MS = 10_000;

/**
 * Keeps a project's temporary files in memory, where a file is made and removed with less work than on a disk: its tests make
 * thousands of repositories. Below the suite's directory, so it comes after `leaves-nothing.ts`. Only root of Linux can mount it;
 * for others it is a directory like any.
 */
export function setup(project: TestProject): () => Promise<void> {
  // A short name: a host's socket may be far below, and has room for little more.
  const directory = join(tmpdir(), "mem");
  mkdirSync(directory);
  const mounts = process.platform === "linux" && process.getuid?.() === 0;
  if (mounts) execFileSync("mount", ["-t", "tmpfs", "-o", "mode=755", "tmpfs", directory]);
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
