import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import type { TestProject } from "vitest/node";
import { setup } from "./in-memory.ts";

const canMount = process.platform === "linux" && process.getuid?.() === 0;

test.runIf(canMount)("a suite's memory has a bound, and what a suite has left that was killed goes", async () => {
  const top = mkdtempSync(join(tmpdir(), "suites-"));
  const [old, other, mine] = ["old", "other", "mine"].map((name) => join(top, `claudecluster-suite-${name}`)) as [
    string,
    string,
    string,
  ];
  mkdirSync(mine);
  for (const directory of [old, other]) {
    mkdirSync(join(directory, "mem"), { recursive: true });
    execFileSync("mount", ["-t", "tmpfs", "tmpfs", join(directory, "mem")]);
  }
  // As what watches a suite.
  const watcher = spawn(process.execPath, ["--eval", "process.stdin.resume(); console.log()", other]);
  onTestFinished(async () => {
    vi.unstubAllEnvs();
    watcher.kill();
    await once(watcher, "exit");
    for (const directory of [old, other])
      if (existsSync(join(directory, "mem"))) execFileSync("umount", [join(directory, "mem")]);
    rmSync(top, { recursive: true });
  });
  await once(watcher.stdout, "data");
  vi.stubEnv("TMPDIR", mine);
  const teardown = setup({ config: {} } as TestProject);
  const { blocks, bsize } = statfsSync(join(mine, "mem"));
  await teardown();
  expect(blocks * bsize).toBe(4 * 1024 ** 3);
  expect(existsSync(old)).toBe(false);
  expect(existsSync(join(other, "mem"))).toBe(true);
});
