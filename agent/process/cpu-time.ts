import { readFileSync } from "node:fs";

/** Returns the processor time of a process and of the children that it has waited for (clock ticks). 0: it is gone. */
export function cpuTicksOf(pid: number | undefined): number {
  const { own, children } = ticks(String(pid));
  return own + children;
}

/** Returns the processor time of this process's children so far, running and ended (clock ticks). */
export function childrenCpuTicks(): number {
  const running = read(`/proc/self/task/${process.pid}/children`).split(" ").filter(Boolean);
  return running.reduce((sum, pid) => sum + cpuTicksOf(Number(pid)), ticks("self").children);
}

function ticks(process: string): { own: number; children: number } {
  const stat = read(`/proc/${process}/stat`);
  // The name in parentheses is the process's to choose. After it: state, ppid, …, utime, stime, cutime, cstime.
  const fields = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11, 15);
  return { own: utime + stime, children: cutime + cstime };
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
