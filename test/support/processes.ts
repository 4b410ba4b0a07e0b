import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A process of this machine, as /proc shows it. */
export interface RunningProcess {
  pid: number;
  /** Program and arguments, separated by spaces. Empty: a kernel thread, or one that is ending. */
  command: string;
  /** NAME=VALUE, as it was started with. */
  environment: string[];
}

/** Every process that runs now. */
export function runningProcesses(): RunningProcess[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map((pid) => ({
    pid: Number(pid),
    command: read(pid, "cmdline").replaceAll("\0", " ").trim(),
    environment: read(pid, "environ").split("\0"),
  }));
}

/** Every process but vitest's own that was started with one of these directories for its temporary files. */
export function processesWith(directories: readonly string[]): RunningProcess[] {
  return runningProcesses()
    .filter(({ environment }) => directories.some((directory) => environment.includes(`TMPDIR=${directory}`)))
    .filter(({ command }) => command !== "" && !/vitest|esbuild/.test(command));
}

function read(pid: string, file: string): string {
  try {
    return readFileSync(join("/proc", pid, file), "latin1");
  } catch {
    return ""; // It has ended meanwhile.
  }
}
