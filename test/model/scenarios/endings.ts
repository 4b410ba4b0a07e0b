import { bash, call, defineScenario, pathIn, say, type Turn, type Step } from "../scenario.ts";

/** Kills Claude Code from its own Bash tool, and then waits, so that the command never finishes before the kill has worked. */
const KILL_CLAUDE = 'pid=${CLAUDE_PID:-$PPID}; echo "killing $pid"; kill -SIGNAL "$pid"; timeout 5 tail -f /dev/null';

function killClaude(signal: "KILL" | "TERM", turn: Turn): readonly Step[] {
  return [
    call("I'll write a file first.", [
      "Write",
      { file_path: pathIn(turn, "before-the-end.txt"), content: "written before the end\n" },
    ]),
    call("And now it ends.", bash(KILL_CLAUDE.replace("SIGNAL", signal), "End the session")),
    say("This is never said."),
  ];
}

export const crash = defineScenario({
  name: "crash",
  summary: "Writes before-the-end.txt, then Bash kills Claude Code with KILL: no result, killed by signal.",
  steps: (_, turn) => killClaude("KILL", turn),
});

export const silentExit = defineScenario({
  name: "silent-exit",
  summary: "Writes before-the-end.txt, then Bash sends Claude Code TERM: exit 143 without a result.",
  steps: (_, turn) => killClaude("TERM", turn),
});

export const hang = defineScenario({
  name: "hang",
  summary: "The model never answers: no headers at all, or silence after `events` events of the stream.",
  parameters: { events: 0 },
  steps: ({ events }) => [
    {
      ...say("This is the beginning of an answer that never ends."),
      failure: { kind: "hang", ...(events > 0 && { afterEvents: events }) },
    },
  ],
});
