import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { runningProcesses } from "../support/processes.ts";

const execFileAsync = promisify(execFile);
const ANSWER_MS = 60_000;
const FETCH = fileURLToPath(new URL("../../test/setup/newer-engine.mjs", import.meta.url));

/** A Docker engine of our own, that may be killed: other roots and another socket than the machine's. */
export interface SecondEngine extends AsyncDisposable {
  /** For DOCKER_HOST. */
  address: string;
  /** Where its data, sockets and log are; gone once it is disposed of. */
  root: string;
  /** Ends dockerd with SIGKILL and starts it again. Resolves once it answers. */
  killAndRestart(): Promise<void>;
}

export interface SecondEngineOptions {
  /** Copied from the engine in use. */
  images: string[];
  liveRestore: boolean;
  /** The directory of its programs, see `newerPrograms`. Default: the machine's. */
  programs?: string;
}

/** The directory of an engine newer than the machine's; fetched by the set-up, or now. */
export async function newerPrograms(): Promise<string> {
  return (await execFileAsync(process.execPath, [FETCH])).stdout.trim();
}

/** Starts a dockerd of our own. Needs root. */
export async function startSecondEngine(options: SecondEngineOptions): Promise<SecondEngine> {
  const { images, liveRestore, programs } = options;
  const root = await mkdtemp(join(tmpdir(), "claudecluster-engine-"));
  const address = `unix://${root}/docker.sock`;
  const docker = (...args: string[]) => execFileAsync("docker", ["-H", address, ...args]);
  const containerdPid = join(root, "exec", "containerd", "containerd.pid");
  // dockerd, containerd and its shims each find the next program there.
  const path = [
    ...(programs === undefined ? [] : [`${programs}/usr/sbin`, `${programs}/usr/bin`]),
    process.env["PATH"],
  ];
  const env = { ...process.env, PATH: path.join(":") };
  const cgroup = `/${basename(root)}`;
  let daemon: ChildProcess;

  async function start(): Promise<void> {
    const log = openSync(join(root, "log"), "a");
    // In a network of its own, since it makes and removes bridges and rules as if it were the only one.
    daemon = spawn(
      "unshare",
      [
        ...["--net", "--", "dockerd"],
        ...["--data-root", join(root, "data"), "--exec-root", join(root, "exec"), "--pidfile", join(root, "pid")],
        ...["--host", address, "--iptables=false", `--live-restore=${liveRestore}`],
        ...["--cgroup-parent", cgroup],
      ],
      { stdio: ["ignore", log, log], env },
    );
    closeSync(log);
    const exited = once(daemon, "exit");
    for (const endMs = Date.now() + ANSWER_MS; ;) {
      if (
        await docker("version").then(
          () => true,
          () => false,
        )
      )
        return;
      const gone = await Promise.race([exited.then(() => true), delay(100, false)]);
      if (gone || Date.now() > endMs) {
        throw new Error(
          `The second engine does not start: ${(await readFile(join(root, "log"), "utf8")).slice(-2000)}`,
        );
      }
    }
  }

  async function kill(signal: NodeJS.Signals): Promise<void> {
    const exited = once(daemon, "exit");
    if (daemon.exitCode !== null || daemon.signalCode !== null) return;
    daemon.kill(signal);
    await exited;
  }

  await mkdir(join(root, "data"));
  await start();
  const save = spawn("docker", ["save", ...images], { stdio: ["ignore", "pipe", "inherit"] });
  const load = spawn("docker", ["-H", address, "load"], { stdio: [save.stdout, "ignore", "inherit"] });
  const [code] = (await once(load, "exit")) as [number];
  if (code !== 0) throw new Error("The images could not be loaded into the second engine.");
  return {
    address,
    root,
    async killAndRestart() {
      await kill("SIGKILL");
      // It dies with its dockerd, a little later, and a new dockerd would take it for a living one.
      await ended(containerdPid);
      await start();
    },
    async [Symbol.asyncDispose]() {
      const { stdout } = await docker("ps", "--all", "--quiet");
      const ids = stdout.split("\n").filter((id) => id !== "");
      if (ids.length > 0) await docker("rm", "--force", ...ids);
      await kill("SIGTERM");
      await ended(containerdPid);
      // A containerd that was killed at a bad moment forgets a shim.
      for (const { pid, command } of runningProcesses()) if (command.includes(root)) process.kill(pid, "SIGKILL");
      await execFileAsync("sh", [
        "-c",
        `awk -v r="${root}/" 'index($2, r) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount -l
         for d in /sys/fs/cgroup${cgroup}/*/ /sys/fs/cgroup/*${cgroup}/*/ /sys/fs/cgroup${cgroup} /sys/fs/cgroup/*${cgroup}; do [ ! -d $d ] || rmdir $d || :; done`,
      ]);
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** Resolves once the process in a pid file is gone. */
async function ended(pidFile: string): Promise<void> {
  const pid = Number(await readFile(pidFile, "utf8").catch(() => "0"));
  while (pid !== 0 && isAlive(pid)) await delay(20);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
