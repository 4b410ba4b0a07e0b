import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import type { Probe } from "./probe.ts";
import type { Targets } from "./targets.ts";

/** Looks for the word that only the host knows: in all that this user can read. */
export function secretProbes(targets: Targets): Probe[] {
  const secret = targets.secret.join("");
  const grep = (...places: string[]) => {
    const script = `grep -rlF -- "$0" ${places.join(" ")} 2>/dev/null | head -3; true`;
    return execFileSync("sh", ["-c", script, secret], { encoding: "utf8" }) !== "";
  };
  const inProcesses = (file: string) => () =>
    readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .some((pid) => {
        try {
          return readFileSync(`/proc/${pid}/${file}`, "utf8").includes(secret);
        } catch {
          return false;
        }
      });
  return [
    { name: "find the key in an environment", proves: "no key in any process", attempt: inProcesses("environ") },
    { name: "find the key in a command line", proves: "no key in any process", attempt: inProcesses("cmdline") },
    {
      name: "find the key in Claude's files",
      proves: "no key in files",
      attempt: () => grep("/home/claude", "/tmp", "/workspace", "/scan"),
    },
    {
      name: "find the key in the image",
      proves: "no key in files",
      attempt: () => grep("/etc", "/opt", "/run", "/var"),
    },
  ];
}
