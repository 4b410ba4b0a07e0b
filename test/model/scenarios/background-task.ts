import { call, defineScenario, say } from "../scenario.ts";
import { wait } from "./long-run.ts";

/** Two results come: one when the turn ends, one when the command's end has woken Claude again. */
export const backgroundTask = defineScenario({
  name: "background-task",
  summary: "Starts a background command of `seconds`, ends its turn, and is woken by its end: two results.",
  parameters: { seconds: 2 },
  steps: ({ seconds }) => [
    call("I'll start it in the background.", [
      "Bash",
      {
        command: `${wait(String(seconds))}; echo finished > background.txt; echo background done`,
        description: "Run in the background",
        run_in_background: true,
      },
    ]),
    say("It runs in the background; I'll be back when it is done."),
    say("The background command is done."),
  ],
});
