import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { mountCgroups } from "./cgroups.mjs";
import { interrupted } from "./main.mjs";
import { work } from "./run.mjs";
import { SetupError, say, seconds } from "./say.mjs";
import { stateDirectory } from "./state.mjs";

const WAIT_MS = 90_000;
const HEARTBEAT_MS = 5000;
const PID_FILE = "/var/run/docker.pid";

/**
 * Starts the installed engine: through systemd where that runs, as a process of its own elsewhere; needs root. Returns
 * when it answers.
 * @param {() => Promise<boolean>} answers
 */
export async function startEngine(answers) {
  if (process.getuid?.() !== 0) {
    const hint = "Start it as root (systemctl start docker), or run this as root.";
    throw new SetupError("Docker is installed but not running.", { hint, exitCode: 3 });
  }
  if (existsSync("/run/systemd/system")) {
    say("starting Docker (systemctl start docker)");
    await work("systemctl", ["start", "docker"], {
      title: "systemctl start docker",
      hint: "See: journalctl -u docker",
    });
    return waitForEngine(answers, { log: "journalctl -u docker" });
  }
  mountCgroups();
  return startDaemon(answers);
}

/**
 * A daemon that was killed a moment ago leaves a pid file and a containerd that is still going: the next one may give
 * up at first, so it gets three tries.
 * @param {() => Promise<boolean>} answers
 */
async function startDaemon(answers) {
  const log = existsSync("/var/log") ? "/var/log/claudecluster-dockerd.log" : join(stateDirectory(), "dockerd.log");
  say(`starting Docker (dockerd, log in ${log})`);
  for (let left = 3; left > 0; left--) {
    removeStalePidFile();
    const ended = spawnDaemon(log);
    if (await waitForEngine(answers, { log, ended, mayEnd: left > 1 })) return;
    await sleep(2000, undefined, { signal: interrupted });
  }
}

/**
 * Starts dockerd as a process that outlives this one; the signal aborts when it ends while we are here.
 * @param {string} log
 */
function spawnDaemon(log) {
  const ended = new AbortController();
  const fd = openSync(log, "a");
  const daemon = spawn("dockerd", [], { detached: true, stdio: ["ignore", fd, fd], cwd: "/" });
  closeSync(fd);
  for (const name of ["error", "exit"]) daemon.on(name, () => ended.abort());
  daemon.unref();
  return ended.signal;
}

/**
 * Waits until the engine answers: true. Throws after a while, or when its process has ended; with `mayEnd` the latter is false.
 * @param {() => Promise<boolean>} answers
 * @param {{ log: string, ended?: AbortSignal, mayEnd?: boolean }} options
 */
export async function waitForEngine(answers, { log, ended, mayEnd = false }) {
  const started = Date.now();
  let told = started;
  while (!ended?.aborted && Date.now() - started < WAIT_MS) {
    if (await answers()) return true;
    if (Date.now() - told >= HEARTBEAT_MS) {
      say(`  waiting for Docker to answer: ${seconds(started)}`);
      told = Date.now();
    }
    await sleep(200, undefined, { signal: interrupted });
  }
  if (mayEnd && ended?.aborted) return false;
  throw new SetupError(`Docker does not answer.${complaint(log)}`, { hint: `See: ${log}`, exitCode: 3 });
}

/** @param {string} log */
function complaint(log) {
  if (!existsSync(log)) return "";
  const lines = readFileSync(log, "utf8").trimEnd().split("\n");
  return ` ${lines
    .filter((line) => !/level=(info|warning)/.test(line))
    .slice(-2)
    .join(" ")}`;
}

function removeStalePidFile() {
  if (!existsSync(PID_FILE)) return;
  const pid = readFileSync(PID_FILE, "utf8").trim();
  const name = `/proc/${pid}/comm`;
  if (!existsSync(name) || readFileSync(name, "utf8").trim() !== "dockerd") rmSync(PID_FILE);
}
