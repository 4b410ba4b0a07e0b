import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { ContainerSpecSchema, Phase, RepositorySpecSchema, SessionSpecSchema } from "../../proto/index.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";
import { fillRepository, type LargeRepository } from "./large-repository.ts";
import { inTurn, type Part } from "./part.ts";
import { SHORT_TASK } from "./sessions.ts";
import { eachEvent } from "../support/each-event.ts";

const REPOSITORIES: Record<string, LargeRepository & { memoryBytes: bigint }> = {
  "50,000 files": { files: 50_000, fileBytes: 4_000, memoryBytes: 2n ** 31n },
  "1 GB": { files: 4_000, fileBytes: 250_000, memoryBytes: 5n * 2n ** 30n },
};

/** A session's workspace of a large repository, against `git clone --depth 1` of the same on this machine. */
export const workspace: Part = async ({ longRounds, figures, say }) => {
  await using rig = await startHostRig();
  for (const [name, repository] of Object.entries(REPOSITORIES)) {
    say(`making a repository of ${name}`);
    const uri = await rig.git.addRepository(`large-${repository.files}`, {});
    await fillRepository(rig.git.directoryOf(`large-${repository.files}`), repository);
    for (let round = 0; round <= longRounds; round++) {
      say(round === 0 ? "warming up" : `workspace of ${name} ${round} of ${longRounds}`);
      const took = await inTurn(round, {
        clone: () => clone(uri),
        session: () => workspacePhase(rig, uri, repository.memoryBytes),
      });
      if (round === 0) continue;
      figures.add(`${name}: git clone --depth 1`, took.clone);
      figures.add(`${name}: a session's workspace`, took.session);
      figures.addRatio(`${name}: workspace / git clone --depth 1`, took.session, took.clone);
    }
  }
};

async function clone(uri: string): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), "claudecluster-clone-"));
  try {
    const start = performance.now();
    await promisify(execFile)("git", ["clone", "--quiet", "--depth", "1", uri, join(directory, "clone")]);
    return performance.now() - start;
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Runs a short session and returns what its workspace took, in ms. */
async function workspacePhase(rig: HostRig, uri: string, memoryBytes: bigint): Promise<number> {
  const { id } = await rig.sessions.create({
    spec: create(SessionSpecSchema, { task: SHORT_TASK, repository: create(RepositorySpecSchema, { uri }) }),
    container: create(ContainerSpecSchema, { memoryBytes }),
  });
  for await (const { event } of eachEvent(
    rig.sessions.watch(id, { afterSequence: 0, signal: AbortSignal.timeout(600_000) }),
  )) {
    if (event.case === "sessionFinished") break;
  }
  const { phaseTimings, state, result } = await rig.sessions.get(id);
  const took = phaseTimings.find(({ phase }) => phase === Phase.WORKSPACE)?.elapsed;
  if (took === undefined || result?.outcome.case !== "success")
    throw new Error(`Session ${id} ended as ${state}: ${JSON.stringify(result?.outcome)}.`);
  return durationMs(took);
}
