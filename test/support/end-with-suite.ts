import { execFileSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { text } from "node:stream/consumers";
import { type RunningProcess, runningProcesses } from "./processes.ts";
import { runMark } from "./run-mark.ts";
import { memoryOf } from "./suite-memory.ts";

// Started beside a suite, with its directory as the argument. Standard input ends with the suite: unless that has said before that
// it has ended what it began, what it has left is ended here. Hosts and engines end by TERM; of a host the sessions go on, so that
// their containers are removed too.
const ENDING_MS = 30_000;

const directory = process.argv[2]!;
const directories = [directory, memoryOf(directory)];
if ((await text(process.stdin)) === "") {
  // Hosts are given their directories, and not the one for temporary files.
  const isOfSuite = ({ pid, environment }: RunningProcess) =>
    pid !== process.pid && environment.some((variable) => directories.some((each) => variable.includes(each)));
  const left = () => runningProcesses().filter(isOfSuite);
  for (const { pid } of left()) end(pid, "SIGTERM");
  for (const endMs = Date.now() + ENDING_MS; left().length > 0 && Date.now() < endMs;) await delay(100);
  for (const { pid } of left()) end(pid, "SIGKILL");
  if (runMark() !== "") removeFromEngine(runMark());
  for (const each of directories) {
    unmountBelow(each);
    rmSync(each, { recursive: true, force: true });
  }
}

function end(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}

/** Those of hosts of the suite, on the engine in use. */
function removeFromEngine(prefix: string): void {
  const docker = (...args: string[]) =>
    execFileSync("docker", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  try {
    const label = "dev.claudecluster.host";
    const list = (id: string, ...args: string[]) =>
      docker(...args, "--format", `${id} {{.Label "${label}"}}`, "--filter", `label=${label}`)
        .split("\n")
        .flatMap((line) => (line.split(" ")[1]?.startsWith(prefix) === true ? [line.split(" ")[0]!] : []));
    const containers = list("{{.ID}}", "ps", "--all");
    if (containers.length > 0) docker("rm", "--force", "--volumes", ...containers);
    const supplies = list("{{.Name}}", "volume", "ls");
    if (supplies.length > 0) docker("volume", "rm", "--force", ...supplies);
  } catch {
    // There is no engine.
  }
}

/** What an engine that was killed has left mounted. */
function unmountBelow(path: string): void {
  const mounts = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "");
  for (const mount of mounts.filter((each) => each.startsWith(`${path}/`)).reverse()) {
    try {
      execFileSync("umount", ["-l", mount], { stdio: "ignore" });
    } catch {
      // Its mount went with another one.
    }
  }
}
