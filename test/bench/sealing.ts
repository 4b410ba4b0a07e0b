import { dockerGateway } from "../support/docker.ts";
import { startRig } from "../support/rig.ts";
import { plainRun, plainSession, sealedRun } from "./docker-run.ts";
import { inTurn, type Part } from "./part.ts";
import { measureSession, SHORT_TASK } from "./sessions.ts";

/** What sealing costs: a container's start and a whole session, against the same image with the engine's defaults. */
export const sealing: Part = async ({ image, rounds, figures, say }) => {
  await using rig = await startRig({ listen: await dockerGateway() });
  const { key, repository } = rig;
  const plain = async () =>
    (await plainSession({ image, task: SHORT_TASK, key, repository, modelUrl: rig.model.url })).whole;
  say("warming up");
  await plainRun(image);
  await sealedRun(image);
  await plain();
  await measureSession(rig, SHORT_TASK);
  for (let round = 1; round <= rounds; round++) {
    say(`sealing ${round} of ${rounds}`);
    const took = await inTurn(round, {
      plainRun: () => plainRun(image),
      sealedRun: () => sealedRun(image),
      plain,
      sealed: async () => (await measureSession(rig, SHORT_TASK)).whole,
    });
    figures.add("plain docker run --rm … true", took.plainRun);
    figures.add("sealed docker run --rm … true", took.sealedRun);
    figures.add("plain container with claude -p: clone, short task, diff", took.plain);
    figures.add("sealed session: call, clone, short task, patch", took.sealed);
    figures.addRatio("start: sealed / plain container", took.sealedRun, took.plainRun);
    figures.addRatio("whole short session: sealed / plain container", took.sealed, took.plain);
  }
};
