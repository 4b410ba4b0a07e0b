import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { runningProcesses } from "./processes.ts";

/** For what is ending by itself, such as a process that was sent a signal. */
const ENDING_MS = 10_000;
const MARK = "CLAUDECLUSTER_SUITE_DIRECTORY";

/** Gives the suite a temporary directory of its own, and fails if a file in it or a process with it is left at the end. */
export function setup(): (() => Promise<void>) | undefined {
  // Every project asks for it; they share one.
  if (process.env[MARK] !== undefined) return undefined;
  const directory = mkdtempSync(join(tmpdir(), "claudecluster-suite-"));
  // Sessions of the tests run as other users.
  chmodSync(directory, 0o755);
  process.env[MARK] = directory;
  process.env["TMPDIR"] = directory;
  return async () => {
    const left = () => [...readdirSync(directory).map((name) => `file ${name}`), ...processesWith(directory)];
    for (const endMs = Date.now() + ENDING_MS; left().length > 0 && Date.now() < endMs; await delay(100));
    const all = left();
    rmSync(directory, { recursive: true, force: true });
    if (all.length > 0) throw new Error(`The suite left behind: ${all.join(", ")}`);
  };
}

/** Every process but vitest's own that was started with that temporary directory. */
function processesWith(directory: string): string[] {
  return runningProcesses()
    .filter(({ environment }) => environment.includes(`TMPDIR=${directory}`))
    .filter(({ command }) => command !== "" && !/vitest|esbuild/.test(command))
    .map(({ pid, command }) => `process ${pid} ${command}`);
}
