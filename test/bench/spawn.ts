import { startRig } from "../support/rig.ts";
import { sealedRun } from "./docker-run.ts";
import { inTurn, type Part } from "./part.ts";
import { type BareTimes, measureBareClaude, measureSession, type SessionTimes, SHORT_TASK } from "./sessions.ts";

/** Phases of a spawn, against `docker run` of the same configuration and against Claude Code without a container. */
export const spawn: Part = async ({ image, rounds, figures, say }) => {
  await using rig = await startRig();
  say("warming up");
  await sealedRun(image);
  await measureSession(rig, SHORT_TASK);
  await measureBareClaude(rig, SHORT_TASK);
  for (let round = 1; round <= rounds; round++) {
    say(`spawn ${round} of ${rounds}`);
    let ours!: SessionTimes;
    let bare!: BareTimes;
    const { sealed } = await inTurn(round, {
      sealed: () => sealedRun(image),
      session: async () => (ours = await measureSession(rig, SHORT_TASK)).whole,
      bare: async () => (bare = await measureBareClaude(rig, SHORT_TASK)).whole,
    });
    figures.add("docker run --rm … true", sealed);
    figures.add("bare claude: start → first model request", bare.toFirstRequest);
    figures.add("bare claude: whole short task", bare.whole);
    figures.add("session: call → agent answers", ours.toAgent);
    figures.add("session: call → first model request", ours.toFirstRequest);
    figures.add("session: whole short task", ours.whole);
    for (const [phase, ms] of Object.entries(ours.phases)) figures.add(`phase ${phase}`, ms);
    figures.addRatio("cold spawn: call → agent answers / docker run", ours.toAgent, sealed);
    figures.addRatio("call → first model request / bare claude's", ours.toFirstRequest, bare.toFirstRequest);
    figures.addRatio("whole short task / bare claude's", ours.whole, bare.whole);
  }
};
