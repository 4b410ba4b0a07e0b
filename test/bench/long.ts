import { startRig } from "../support/rig.ts";
import { inTurn, type Part } from "./part.ts";
import { measureBareClaude, measureSession } from "./sessions.ts";

/** The work of a long task, against Claude Code without a container. */
export const long: Part = async ({ longRounds, longSeconds, figures, say }) => {
  await using rig = await startRig();
  const task = `[scenario: long-run seconds=${longSeconds} steps=30]`;
  for (let round = 1; round <= longRounds; round++) {
    say(`long session ${round} of ${longRounds}`);
    const { bare, session } = await inTurn(round, {
      bare: async () => (await measureBareClaude(rig, task)).work,
      session: async () => (await measureSession(rig, task)).work,
    });
    figures.add("long task, first request → final result: session", session);
    figures.add("long task, first request → final result: bare claude", bare);
    figures.addRatio("long task, first request → final result / bare claude's", session, bare);
  }
};
