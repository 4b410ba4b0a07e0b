import { execFileSync, spawn } from "node:child_process";
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import type { Probe } from "./probe.ts";

/** The agent, or what stands for it: the oldest process that runs Node. */
function agentPid(): number {
  const pids = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(Number)
    .sort((a, b) => a - b);
  const found = pids.find((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("node\0");
    } catch {
      return false;
    }
  });
  if (found === undefined) throw new Error("There is no agent to attack.");
  return found;
}

const agent = agentPid();
const can = (use: () => unknown) => () => {
  use();
  return true;
};
const limit = (name: string) => {
  const line = readFileSync("/proc/self/limits", "utf8")
    .split("\n")
    .find((each) => each.startsWith(name))!;
  return line.slice(26).trim().split(/\s+/)[1];
};

/** The agent, the others, and what a process may take. */
export const PROCESS_PROBES: readonly Probe[] = [
  { name: "signal the agent", proves: "the agent is not ended", attempt: can(() => process.kill(agent, 0)) },
  {
    name: "read the agent's environment",
    proves: "its settings are its own",
    attempt: can(() => readFileSync(`/proc/${agent}/environ`)),
  },
  {
    name: "read the agent's memory",
    proves: "its memory is its own",
    attempt: can(() => closeSync(openSync(`/proc/${agent}/mem`, "r"))),
  },
  {
    name: "list the agent's descriptors",
    proves: "its connections are its own",
    attempt: can(() => readdirSync(`/proc/${agent}/fd`)),
  },
  {
    name: "enter the agent's root",
    proves: "no way round the directory's mode",
    attempt: can(() => readdirSync(`/proc/${agent}/root/run/agent`)),
  },
  {
    name: "enter the agent's directory",
    proves: "no way round the directory's mode",
    attempt: can(() => readlinkSync(`/proc/${agent}/cwd`)),
  },
  {
    name: "write into the agent's output",
    proves: "its log is its own",
    attempt: can(() => closeSync(openSync(`/proc/${agent}/fd/1`, "w"))),
  },
  {
    name: "have the agent killed first",
    proves: "want of memory ends Claude, not the agent",
    attempt: can(() => writeFileSync(`/proc/${agent}/oom_score_adj`, "1000")),
  },
  {
    name: "be killed last",
    proves: "want of memory ends Claude, not the agent",
    attempt: can(() => writeFileSync("/proc/self/oom_score_adj", "-1000")),
  },
  { name: "go before others", proves: "no more than its share of the CPU", attempt: can(() => setPriority(-10)) },
  {
    name: "run in real time",
    proves: "no more than its share of the CPU",
    attempt: can(() => execFileSync("chrt", ["-f", "1", "true"], { stdio: "ignore" })),
  },
  {
    name: "have capabilities",
    proves: "nothing of root's is left",
    attempt: () => /^Cap(Inh|Prm|Eff|Amb):\t0*[1-9a-f]/m.test(readFileSync("/proc/self/status", "utf8")),
  },
  {
    name: "gain privileges",
    proves: "no program gives more than its user has",
    attempt: () => !/^NoNewPrivs:\t1$/m.test(readFileSync("/proc/self/status", "utf8")),
  },
  {
    name: "go without a filter",
    proves: "system calls are filtered",
    attempt: () => !/^Seccomp:\t2$/m.test(readFileSync("/proc/self/status", "utf8")),
  },
  {
    name: "leave a core",
    proves: "the kernel's handler on the host is not run",
    attempt: () => limit("Max core file size") !== "0",
  },
  {
    name: "open a million files",
    proves: "descriptors are bounded",
    attempt: () => Number(limit("Max open files")) > 100_000,
  },
  {
    name: "start six hundred processes",
    proves: "a fork bomb stops",
    attempt: async () => {
      const children = Array.from({ length: 600 }, () => spawn("sleep", ["30"], { stdio: "ignore" }));
      const started = await Promise.all(
        children.map(
          (child) =>
            new Promise<boolean>((resolve) => {
              child.once("spawn", () => resolve(true)).once("error", () => resolve(false));
            }),
        ),
      );
      for (const child of children) child.kill("SIGKILL");
      return started.every(Boolean);
    },
  },
  {
    name: "fill the disk",
    proves: "what is written is bounded",
    attempt: () => {
      try {
        execFileSync("sh", ["-c", "head -c 400M /dev/zero > /tmp/fill"], { stdio: "ignore" });
        return true;
      } finally {
        execFileSync("rm", ["-f", "/tmp/fill"]);
      }
    },
  },
  {
    name: "take all inodes",
    proves: "empty files are bounded, too",
    attempt: () =>
      Number(execFileSync("sh", ["-c", "df -i /tmp | tail -1 | awk '{print $2}'"], { encoding: "utf8" })) > 1_000_000,
  },
  ...["auxv", "io", "maps", "personality", "stack", "syscall", "timers"].map((name) => ({
    name: `read the agent's ${name}`,
    proves: "where its memory is and what it does stays its own",
    attempt: can(() => readFileSync(`/proc/${agent}/${name}`)),
  })),
  ...["exe", "ns/mnt", "ns/pid"].map((name) => ({
    name: `follow the agent's ${name}`,
    proves: "no way into its namespaces or its program",
    attempt: can(() => readlinkSync(`/proc/${agent}/${name}`)),
  })),
  {
    name: "have the agent go behind others",
    proves: "the agent answers while Claude is busy",
    attempt: can(() => setPriority(agent, 19)),
  },
  {
    name: "have the agent run on one CPU",
    proves: "the agent answers while Claude is busy",
    attempt: can(() => execFileSync("taskset", ["-p", "1", String(agent)], { stdio: "ignore" })),
  },
  {
    name: "take the agent's descriptors away",
    proves: "the agent's limits are its own",
    attempt: can(() =>
      execFileSync("prlimit", ["--pid", String(agent), "--nofile=3:3"], { stdio: ["ignore", "ignore", "ignore"] }),
    ),
  },
  {
    name: "raise one's own limits",
    proves: "a limit is hard",
    attempt: can(() => execFileSync("sh", ["-c", "ulimit -Hn 1048576"], { stdio: "ignore" })),
  },
  {
    name: "signal a process of root's",
    proves: "nothing of another user is ended",
    attempt: can(() => process.kill(1, 0)),
  },
  {
    name: "see the agent",
    proves: "processes of other users are hidden",
    attempt: can(() => readFileSync(`/proc/${agent}/cmdline`)),
  },
];
