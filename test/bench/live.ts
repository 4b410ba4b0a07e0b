import { setTimeout as sleep } from "node:timers/promises";
import { docker } from "../support/docker.ts";
import { startHostRig } from "../support/rig.ts";
import { type SealedSession, startSealedSession } from "../support/sealed-session.ts";
import { fillRepository, largePath } from "./large-repository.ts";
import type { Part } from "./part.ts";
import { SHORT_TASK } from "./sessions.ts";
import { eachEvent } from "../support/each-event.ts";

const FILES = 50_000;
const CHANGES = 60;
/** Between two changes, so that they fall anywhere into what a scan does and waits for. */
const PAUSES_MS = [100, 300, 500, 900, 1700];
/** A tree at rest is measured for so long. */
const REST_MS = 40_000;
/** After this nobody looks any more. */
const LOST_MS = 60_000;

/** From a file's write in a large repository to its diff at a watcher of the control API, and what looking costs. */
export const live: Part = async ({ figures, say }) => {
  await using rig = await startHostRig();
  say(`making a repository of ${FILES} files`);
  const repository = await rig.git.addRepository("large", {});
  await fillRepository(rig.git.directoryOf("large"), { files: FILES, fileBytes: 4_000 });
  const options = { task: SHORT_TASK, repository, until: "turnFinished", idleMs: 3_600_000 } as const;
  const session = await startSealedSession(rig, options);

  const arrived = new Map<string, number>();
  const over = new AbortController();
  const watching = (async () => {
    const watch = rig.sessions.watch(session.id, { afterSequence: 0, signal: over.signal });
    for await (const { event } of eachEvent(watch)) {
      if (event.case === "filePatched" && event.value.partIndex === event.value.partCount - 1) {
        arrived.set(event.value.change?.path ?? "", Date.now());
      }
    }
  })().catch(() => {});

  // What follows the start is over.
  await sleep(15_000);
  say("measuring a tree at rest");
  figures.add(
    `${FILES} files: CPU share of a tree at rest`,
    await cpuShare(session, () => sleep(REST_MS)),
    "% of a core",
  );
  const written = new Map<string, number>();
  const share = await cpuShare(session, async () => {
    for (let change = 0; change < CHANGES; change++) {
      if (change % 10 === 0) say(`change ${change} of ${CHANGES}`);
      const path = largePath((change * 1237) % FILES);
      const script = 'date +%s%3N; echo "// changed" >> "$1"';
      const target = ["--user", session.user, "--workdir", "/workspace/repo", session.container];
      written.set(path, Number(await docker("exec", ...target, "sh", "-c", script, "sh", path)));
      await sleep(PAUSES_MS[change % PAUSES_MS.length]!);
    }
    for (const end = Date.now() + LOST_MS; [...written.keys()].some((path) => !arrived.has(path)) && Date.now() < end;)
      await sleep(100);
  });
  over.abort();
  await watching;
  for (const [path, writtenAt] of written) {
    const at = arrived.get(path);
    if (at === undefined) throw new Error(`The diff of ${path} never came.`);
    figures.add(`${FILES} files: file written → its diff at a watcher`, at - writtenAt);
  }
  figures.add(`${FILES} files: CPU share with a change each second or so`, share, "% of a core");
};

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
