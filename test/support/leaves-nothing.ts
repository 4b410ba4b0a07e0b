import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

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
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const read = (file: string) => {
        try {
          return readFileSync(join("/proc", pid, file), "latin1");
        } catch {
          return ""; // It has ended meanwhile.
        }
      };
      if (!read("environ").split("\0").includes(`TMPDIR=${directory}`)) return [];
      const command = read("cmdline").replaceAll("\0", " ").trim();
      return command === "" || /vitest|esbuild/.test(command) ? [] : [`process ${pid} ${command}`];
    });
}
