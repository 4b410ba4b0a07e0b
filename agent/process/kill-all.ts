import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { AppError } from "../../proto/index.ts";
import type { Identity } from "./identity.ts";
import { run } from "./run.ts";

/** A fork bomb at the container's process limit is gone after two or three; a hundred means that killing is refused. */
const MAX_KILL_ROUNDS = 100;
/** Each pass stops what the one before had not seen; what is stopped cannot fork, so passes shrink quickly. */
const MAX_STOP_PASSES = 20;
/** After so many rounds the processes are not found one by one: each may be gone, with a successor, before it is looked at. */
const ROUNDS_ONE_BY_ONE = 3;
/** For a Node on a busy machine to start. */
const KILL_AT_ONCE_MS = 10_000;

/**
 * Becomes the user, for good, and kills all that it may: the kernel signals every process of the user at once, and none
 * forks in between. What it kills cannot get at it before: it is root's until the call before.
 */
const KILL_AT_ONCE = `
const [uid, gid] = process.argv.slice(1).map(Number);
process.setgroups([]); process.setgid(gid); process.setuid(uid);
try { process.kill(-1, "SIGKILL"); } catch (error) { if (error.code !== "ESRCH" && error.code !== "EPERM") throw error; }`;

/**
 * Kills every process of the identity's user. Resolves when none is left but zombies, which their parent has to
 * collect. All are stopped before the first is killed, so that none can start another meanwhile. Throws PROCESSES_LEFT.
 */
export async function killAllOf(identity: Identity): Promise<void> {
  const { uid } = identity;
  if (uid === 0 || uid === process.getuid?.()) {
    throw new AppError("IDENTITY_OWN", `Refused to kill all processes of uid ${uid}: it is the agent's own.`);
  }
  let before: Look | undefined;
  for (let round = 0; round < MAX_KILL_ROUNDS; round++) {
    const atOnce = round >= ROUNDS_ONE_BY_ONE && (await killAtOnce(identity));
    const first = lookFor(uid);
    if (first.alive.length === 0 && (atOnce || nothingEnded(before, first))) return;
    before = first;
    const stopped = new Set<number>();
    for (let look = first, pass = 0; pass < MAX_STOP_PASSES; look = lookFor(uid), pass++) {
      const fresh = look.alive.filter((pid) => !stopped.has(pid));
      if (fresh.length === 0) break;
      for (const pid of fresh) {
        send(pid, "SIGSTOP");
        stopped.add(pid);
      }
    }
    for (const pid of stopped) send(pid, "SIGKILL");
    await sleep(round < 10 ? 1 : 20);
  }
  const left = processesOf(uid);
  throw new AppError("PROCESSES_LEFT", `${left.length} processes of uid ${uid} could not be killed.`, {
    metadata: { uid: String(uid), process_count: String(left.length) },
    help: "They may have changed the patch since: do not apply it unread.",
  });
}

/**
 * Returns the ids of all processes that have the user as one of their four uids, without zombies and without this
 * process.
 */
export function processesOf(uid: number): number[] {
  return lookFor(uid).alive;
}

/** What a walk through /proc has found. Processes begin and end meanwhile. */
interface Look {
  /** The user's. */
  alive: number[];
  /** The user's zombies. */
  ended: Set<number>;
  /** Some process or thread was gone before it could be looked at. */
  vanished: boolean;
}

/** A process that ended since may have left another one, with an id that the walk had passed. */
function nothingEnded(before: Look | undefined, now: Look): boolean {
  return before !== undefined && !now.vanished && [...now.ended].every((pid) => before.ended.has(pid));
}

function lookFor(uid: number): Look {
  const look: Look = { alive: [], ended: new Set(), vanished: false };
  for (const pid of numbersIn("/proc") ?? []) {
    if (pid === process.pid) continue;
    const { threads, vanished } = threadsOf(pid);
    look.vanished ||= vanished;
    const own = threads.filter(({ uids }) => uids.includes(uid));
    if (own.some(({ dead }) => !dead)) look.alive.push(pid);
    else if (own.length > 0) look.ended.add(pid);
  }
  return look;
}

interface Thread {
  /** It has ended, and nobody has asked yet how. */
  dead: boolean;
  /** Real, effective, saved, and that for files. */
  uids: number[];
}

/**
 * Returns a process's threads: its first one may have ended while another goes on, and each has uids of its own.
 * `vanished`: one of them, or all, were gone before they could be looked at.
 */
function threadsOf(pid: number): { threads: Thread[]; vanished: boolean } {
  const listed = numbersIn(`/proc/${pid}/task`) ?? [];
  const threads = listed
    .map((tid) => readThread(`/proc/${pid}/task/${tid}/status`))
    .filter((each) => each !== undefined);
  return { threads, vanished: threads.length === 0 || threads.length < listed.length };
}

/**
 * Reads what the kernel says of a thread. Its name is its own choice and stands in the same file, where only line feeds
 * and backslashes in it are escaped: so a line ends with a line feed and with nothing else.
 */
function readThread(file: string): Thread | undefined {
  let lines: string[];
  try {
    lines = readFileSync(file, "latin1").split("\n");
  } catch {
    return undefined; // Gone since the directory was read.
  }
  const field = (name: string): string[] =>
    lines
      .find((line) => line.startsWith(`${name}:\t`))
      ?.slice(name.length + 2)
      .split("\t") ?? [];
  return { dead: /^[ZX]/.test(field("State")[0] ?? ""), uids: field("Uid").map(Number) };
}

function numbersIn(directory: string): number[] | undefined {
  try {
    return readdirSync(directory).map(Number).filter(Number.isInteger);
  } catch {
    return undefined;
  }
}

/** Returns true if every process of the user that there was has been sent its end. */
async function killAtOnce({ uid, gid }: Identity): Promise<boolean> {
  const args = ["--input-type=commonjs", "--eval", KILL_AT_ONCE, String(uid), String(gid)];
  const signal = AbortSignal.timeout(KILL_AT_ONCE_MS);
  // They may have stopped or killed it in the moment between: then the next round tries again.
  return await run(process.execPath, args, { env: {}, signal }).then(
    ({ code }) => code === 0,
    () => false,
  );
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone by itself, or refused: the next round sees which.
  }
}
