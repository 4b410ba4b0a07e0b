import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { AppError } from "../../proto/index.ts";

/** The user and group that a child process runs as. Undefined where one is expected: as ourselves, for tests. */
export interface Identity {
  uid: number;
  gid: number;
}

/** A fork bomb at the container's process limit is gone after two or three; a hundred means that killing is refused. */
const MAX_KILL_ROUNDS = 100;
/** Each pass stops what the one before had not seen; what is stopped cannot fork, so passes shrink quickly. */
const MAX_STOP_PASSES = 20;

/**
 * Kills every process of the identity's user, and returns once none is left (zombies do not count: their parent has
 * to collect them). Stops all of them before it kills the first, so that none can fork or start another in between.
 * Throws PROCESSES_LEFT if some cannot be killed.
 */
export async function killAllOf(identity: Identity): Promise<void> {
  const { uid } = identity;
  if (uid === 0 || uid === process.getuid?.()) {
    throw new AppError("IDENTITY_OWN", `Refused to kill all processes of uid ${uid}: it is the agent's own.`);
  }
  for (let round = 0; round < MAX_KILL_ROUNDS; round++) {
    const stopped = new Set<number>();
    for (let pass = 0; pass < MAX_STOP_PASSES; pass++) {
      const fresh = processesOf(uid).filter((pid) => !stopped.has(pid));
      if (fresh.length === 0) break;
      for (const pid of fresh) {
        send(pid, "SIGSTOP");
        stopped.add(pid);
      }
    }
    if (stopped.size === 0) return;
    for (const pid of stopped) send(pid, "SIGKILL");
    await sleep(round < 10 ? 1 : 20);
  }
  const left = processesOf(uid);
  if (left.length === 0) return;
  throw new AppError("PROCESSES_LEFT", `${left.length} processes of uid ${uid} could not be killed.`, {
    metadata: { uid: String(uid), process_count: String(left.length) },
  });
}

/** Returns the process ids of a user, whichever of the process's four uids it is, without zombies and ourselves. */
export function processesOf(uid: number): number[] {
  const found: number[] = [];
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    let status: string;
    try {
      status = readFileSync(`/proc/${name}/status`, "latin1");
    } catch {
      continue; // Gone since the directory was read.
    }
    if (/^State:\s+[ZX]/m.test(status)) continue;
    const uids = /^Uid:\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)/m.exec(status)?.slice(1);
    if (uids?.includes(String(uid)) === true) found.push(pid);
  }
  return found;
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone by itself, or refused: the next round sees which.
  }
}
