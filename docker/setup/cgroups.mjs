import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";

const ROOT = "/sys/fs/cgroup";

/** Mounts the control groups where nothing has yet (a bare machine without systemd): Docker cannot start without them. */
export function mountCgroups() {
  if (/ cgroup2? /.test(readFileSync("/proc/mounts", "utf8"))) return;
  if (mount("cgroup2", ROOT) && readFileSync(`${ROOT}/cgroup.controllers`, "utf8").includes("memory")) return;
  spawnSync("umount", [ROOT]);
  mount("tmpfs", ROOT, "mode=755");
  for (const controller of firstVersionControllers()) {
    mkdirSync(`${ROOT}/${controller}`, { recursive: true });
    mount("cgroup", `${ROOT}/${controller}`, controller);
  }
}

function firstVersionControllers() {
  const rows = readFileSync("/proc/cgroups", "utf8")
    .split("\n")
    .filter((row) => row && !row.startsWith("#"));
  return rows
    .map((row) => row.split("\t"))
    .filter(([, , , enabled]) => enabled === "1")
    .map(([name]) => name);
}

/**
 * @param {string} type
 * @param {string} where
 * @param {string} [options]
 */
function mount(type, where, options) {
  return spawnSync("mount", ["-t", type, ...(options ? ["-o", options] : []), type, where]).status === 0;
}
