import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { runningProcesses } from "./processes.ts";
import { memoryOf } from "./suite-memory.ts";

/** Stands for vitest: sets a suite up, begins something in it, says where, and waits for what comes. */
const SUITE = `
  import { spawn } from "node:child_process";
  import { writeFileSync } from "node:fs";
  import { setup } from ${JSON.stringify(new URL("leaves-nothing.ts", import.meta.url).href)};
  const teardown = setup();
  const begun = spawn("sleep", ["1000"], { detached: true, stdio: "ignore" });
  // As a host is started.
  const { TMPDIR, CLAUDECLUSTER_SUITE_DIRECTORY, ...env } = process.env;
  const host = spawn("sleep", ["2000"], {
    detached: true,
    stdio: "ignore",
    env: { ...env, CLAUDECLUSTER_STATE_DIR: TMPDIR + "/state" },
  });
  writeFileSync(process.env.TMPDIR + "/file", "");
  process.stdin.once("data", async () => {
    begun.kill();
    host.kill();
    await teardown().catch(() => undefined);
    process.exit();
  });
  console.log(process.env.TMPDIR);
`;

async function startSuite(): Promise<{ suite: ChildProcess; directory: string }> {
  const { CLAUDECLUSTER_SUITE_DIRECTORY: _own, ...env } = process.env;
  const args = [
    "--experimental-transform-types",
    "--disable-warning=ExperimentalWarning",
    "--input-type=module-typescript",
  ];
  const TMPDIR = mkdtempSync(join(tmpdir(), "suite-of-suites-"));
  onTestFinished(() => rmSync(TMPDIR, { recursive: true }));
  const suite = spawn(process.execPath, [...args, "--eval", SUITE], {
    env: { ...env, TMPDIR },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [line] = (await suite.stdout!.setEncoding("utf8").take(1).toArray()) as [string];
  return { suite, directory: line.trim() };
}

const processesOf = (directory: string) =>
  runningProcesses()
    .filter(({ environment }) => environment.some((variable) => variable.includes(directory)))
    .map(({ command }) => command);

test.each(["SIGINT", "SIGTERM", "SIGKILL"] as const)(
  "a suite that %s ends leaves neither processes nor files",
  async (signal) => {
    const { suite, directory } = await startSuite();
    expect(processesOf(directory)).toEqual(expect.arrayContaining(["sleep 1000", "sleep 2000"]));
    suite.kill(signal);
    await expect.poll(() => processesOf(directory), { timeout: 20_000 }).toEqual([]);
    const files = () => [directory, memoryOf(directory)].filter((each) => existsSync(each));
    await expect.poll(files, { timeout: 20_000 }).toEqual([]);
  },
);

test("a suite that ends by itself is left to itself, and so is what watches it", async () => {
  const { suite, directory } = await startSuite();
  const watcher = () => runningProcesses().some(({ command }) => command.includes(`end-with-suite.ts ${directory}`));
  expect(watcher()).toBe(true);
  suite.stdin!.write("end");
  await expect.poll(() => suite.exitCode, { timeout: 20_000 }).toBe(0);
  await expect.poll(watcher, { timeout: 20_000 }).toBe(false);
});
