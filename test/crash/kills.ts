import { execFile } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import type { SeededRandom } from "./random.ts";
import type { SecondEngine } from "./second-engine.ts";

const execFileAsync = promisify(execFile);
/** An engine that takes longer hangs. */
const COMMAND_MS = 60_000;

/** What can be done to a running system. */
export type KillKind =
  "host" | "claim" | "bridge" | "agent" | "container" | "pooled" | "remove" | "pause" | "long-pause" | "engine";

/** The failures that a session may be told to have had after a kill; none: it must not notice. */
export const REASONS: Record<KillKind, readonly string[]> = {
  host: [],
  // The host, a moment after it was asked for a session.
  claim: [],
  bridge: [],
  pause: [],
  "long-pause": [],
  engine: [],
  // An engine without live-restore ends every container when it comes back; see `lethalEngine`.
  agent: ["CONTAINER_KILLED", "CONTAINER_EXITED"],
  container: ["CONTAINER_KILLED", "CONTAINER_EXITED"],
  // A container that no session has yet; one may take it just then.
  pooled: ["CONTAINER_KILLED", "CONTAINER_EXITED"],
  // A removal kills first.
  remove: ["CONTAINER_REMOVED", "CONTAINER_KILLED"],
};

export interface KillTargets {
  /** DOCKER_HOST of the engine in use; undefined: the machine's own. */
  engineAddress: string | undefined;
  engine: SecondEngine | undefined;
  hostPid(): Promise<number | undefined>;
  random: SeededRandom;
}

/** Does it. False if there was nothing to do it to (any more). */
export async function kill(kind: KillKind, containerId: string | undefined, targets: KillTargets): Promise<boolean> {
  const docker = async (...args: string[]) => {
    const host = targets.engineAddress === undefined ? [] : ["-H", targets.engineAddress];
    const { stdout } = await execFileAsync("docker", [...host, ...args], {
      timeout: COMMAND_MS,
      killSignal: "SIGKILL",
    });
    return stdout;
  };
  try {
    switch (kind) {
      case "claim":
      case "host": {
        const pid = await targets.hostPid();
        return pid !== undefined && signal(pid);
      }
      case "engine":
        if (targets.engine === undefined) throw new Error("Only an engine of our own is killed.");
        await targets.engine.killAndRestart();
        return true;
      case "bridge":
        return (await pidsIn(docker, containerId!, "socat")).map(signal).some(Boolean);
      case "agent":
        return (await pidsIn(docker, containerId!, "agent.blob")).map(signal).some(Boolean);
      case "container":
      case "pooled":
        await docker("kill", containerId!);
        return true;
      case "remove":
        await docker("rm", "--force", containerId!);
        return true;
      case "pause":
      case "long-pause":
        await docker("pause", containerId!);
        // The long one is longer than an agent bears to be without its host.
        await delay(kind === "pause" ? targets.random.between(500, 8_000) : 65_000);
        await docker("unpause", containerId!);
        return true;
    }
  } catch (error) {
    // It ended meanwhile.
    if (
      /No such container|is not running|not paused|already paused|unable to freeze|removal of container/i.test(
        String(error),
      )
    )
      return false;
    throw error;
  }
}

async function pidsIn(docker: (...args: string[]) => Promise<string>, id: string, program: string): Promise<number[]> {
  const top = await docker("top", id, "-eo", "pid,args");
  return top
    .split("\n")
    .filter((line) => line.includes(program) && !line.includes("docker-init"))
    .map((line) => Number.parseInt(line, 10));
}

function signal(pid: number): boolean {
  try {
    return process.kill(pid, "SIGKILL");
  } catch {
    return false;
  }
}
