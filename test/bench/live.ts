import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { docker } from "../support/docker.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";
import { type SealedSession, startSealedSession } from "../support/sealed-session.ts";
import { fillRepository } from "./large-repository.ts";
import type { Part } from "./part.ts";
import { SHORT_TASK } from "./sessions.ts";
import { eachEvent } from "../support/each-event.ts";

const run = promisify(execFile);

/** 1 GB. */
const REPOSITORY = { files: 50_000, fileBytes: 20_000 };
const MEMORY_BYTES = 6n * 2n ** 30n;
const WATCHERS = 2;
const CHANGES = 60;
/** Between two changes, so that they fall anywhere into what a scan does and waits for. */
const PAUSES_MS = [100, 300, 500, 900, 1700];
/** A tree at rest is measured for so long. */
const REST_MS = 40_000;
/** After this nobody looks any more. */
const LOST_MS = 60_000;

/** From a file's write in a large repository to its diff at each of two watchers of the control API, and what looking costs. */
export const live: Part = async ({ repository: given, figures, say }) => {
  await using rig = await startHostRig();
  say(given === undefined ? `making a repository of ${REPOSITORY.files} files` : `copying ${given}`);
  const repository = await rig.git.addRepository("large", {});
  const directory = rig.git.directoryOf("large");
  if (given === undefined) await fillRepository(directory, REPOSITORY);
  else await run("git", ["-C", directory, "fetch", "-q", "--update-head-ok", "--", given, "+HEAD:refs/heads/main"]);
  const { stdout } = await run("git", ["-C", directory, "ls-tree", "-r", "-z", "main"], { maxBuffer: 2 ** 30 });
  const paths = stdout.split("\0").flatMap((line) => (line.startsWith("100644") ? [line.split("\t")[1]!] : []));
  const options = { task: SHORT_TASK, repository, until: "turnFinished", idleMs: 3_600_000 } as const;
  const session = await startSealedSession(rig, { ...options, memoryBytes: MEMORY_BYTES });

  const over = new AbortController();
  const watchers = Array.from({ length: WATCHERS }, () => watchPatches(rig, session, over.signal));

  // What follows the start is over.
  await sleep(15_000);
  say("measuring a tree at rest");
  figures.add("CPU share of a tree at rest", await cpuShare(session, () => sleep(REST_MS)), "% of a core");
  const written = new Map<string, number>();
  const share = await cpuShare(session, async () => {
    for (let change = 0; change < CHANGES; change++) {
      if (change % 10 === 0) say(`change ${change} of ${CHANGES}`);
      const path = paths[(change * 1237) % paths.length]!;
      const script = 'date +%s%3N; echo "// changed" >> "$1"';
      const target = ["--user", session.user, "--workdir", "/workspace/repo", session.container];
      written.set(path, Number(await docker("exec", ...target, "sh", "-c", script, "sh", path)));
      await sleep(PAUSES_MS[change % PAUSES_MS.length]!);
    }
    const missing = () => watchers.some(({ arrived }) => [...written.keys()].some((path) => !arrived.has(path)));
    for (const end = Date.now() + LOST_MS; missing() && Date.now() < end;) await sleep(100);
  });
  figures.add("memory of the agent", await agentMemory(session), "MiB");
  over.abort();
  for (const { arrived, ended } of watchers) {
    await ended;
    for (const [path, writtenAt] of written) {
      const at = arrived.get(path);
      if (at === undefined) throw new Error(`The diff of ${path} never came.`);
      figures.add("file written → its diff at a watcher", at - writtenAt);
    }
  }
  figures.add("CPU share with a change each second or so", share, "% of a core");
};

interface Watcher {
  /** When the whole diff of each file came last. */
  arrived: Map<string, number>;
  ended: Promise<void>;
}

function watchPatches(rig: HostRig, { id }: SealedSession, signal: AbortSignal): Watcher {
  const arrived = new Map<string, number>();
  const watch = async (): Promise<void> => {
    for await (const { event } of eachEvent(rig.sessions.watch(id, { afterSequence: 0, signal }))) {
      if (event.case === "filePatched" && event.value.partIndex === event.value.partCount - 1) {
        arrived.set(event.value.change?.path ?? "", Date.now());
      }
    }
  };
  return { arrived, ended: watch().catch(() => {}) };
}

/** Returns the resident memory of the agent's own process (MiB). */
async function agentMemory({ container }: SealedSession): Promise<number> {
  const find =
    "cat $(grep -l claudecluster/agent.blob /proc/[0-9]*/cmdline | sed 's/cmdline/status/') | awk '/VmRSS/ { print $2 }' | sort -n | tail -1";
  return Number(await docker("exec", container, "sh", "-c", find)) / 1024;
}

/** Returns how much of a processor the container takes meanwhile, in percent. */
async function cpuShare(session: SealedSession, work: () => Promise<unknown>): Promise<number> {
  const before = await cpuMs(session);
  const start = performance.now();
  await work();
  return (100 * ((await cpuMs(session)) - before)) / (performance.now() - start);
}

async function cpuMs({ container }: SealedSession): Promise<number> {
  const read =
    "cat /sys/fs/cgroup/cpuacct/cpuacct.usage 2>/dev/null || awk '/usage_usec/ { print $2 * 1000 }' /sys/fs/cgroup/cpu.stat";
  return Number(await docker("exec", container, "sh", "-c", read)) / 1e6;
}
