import { dockerGateway } from "../support/docker.ts";
import { startRig } from "../support/rig.ts";
import { plainSession, sealedRun } from "./docker-run.ts";
import { inTurn, type Part } from "./part.ts";
import { measureSession, type SessionTimes, SHORT_TASK } from "./sessions.ts";

/** A session in a fresh container, against what one would do by hand: `docker run` of the image, a clone and `claude -p` in it. */
export const cold: Part = async ({ image, rounds, figures, say }) => {
  await using rig = await startRig({ listen: await dockerGateway() });
  const { key, repository, model } = rig;
  let firstRequest = NaN;
  const byHand = async () => {
    const [startMs, known] = [Date.now(), model.requests.length];
    const whole = await plainSession({ image, task: SHORT_TASK, key, repository, modelUrl: model.url });
    firstRequest = model.requests[known]!.receivedAt.getTime() - startMs;
    return whole;
  };
  say("warming up");
  await sealedRun(image);
  await byHand();
  await measureSession(rig, SHORT_TASK);
  for (let round = 1; round <= rounds; round++) {
    say(`cold ${round} of ${rounds}`);
    let ours!: SessionTimes;
    const took = await inTurn(round, {
      run: () => sealedRun(image),
      hand: byHand,
      session: async () => (ours = await measureSession(rig, SHORT_TASK)).whole,
    });
    figures.add("cold: docker run --rm … true", took.run);
    figures.add("cold: by hand, docker run → first model request", firstRequest);
    figures.add("cold: by hand, short task", took.hand);
    figures.add("cold: call → agent answers", ours.toAgent);
    figures.add("cold: call → first model request", ours.toFirstRequest);
    figures.add("cold: short task", ours.whole);
    for (const [phase, ms] of Object.entries(ours.phases)) figures.add(`cold: phase ${phase}`, ms);
    figures.addRatio("cold: call → agent answers / docker run", ours.toAgent, took.run);
    figures.addRatio("cold: call → first model request / by hand", ours.toFirstRequest, firstRequest);
    figures.addRatio("cold: short task / by hand", ours.whole, took.hand);
  }
};
