import { bash, defineScenario, pathIn, say, type Step, type Turn } from "../scenario.ts";

const CHUNK_CHARACTERS = 12;

/** Even steps write a file, odd ones run a command and append to a log. All together take the time that was asked for. */
export const longRun = defineScenario({
  name: "long-run",
  summary: "Works for `seconds` in `steps` steps: slowly streamed text, files written, commands that take time.",
  parameters: { seconds: 60, steps: 30 },
  steps: ({ seconds, steps }, turn) => [
    ...Array.from({ length: steps }, (_, index) =>
      workStep(index + 1, steps, (seconds * 1000) / Math.max(1, steps), turn),
    ),
    say(`All ${steps} steps are done.`),
  ],
});

function workStep(number: number, steps: number, durationMs: number, turn: Turn): Step {
  const label = `step ${number} of ${steps}`;
  const runs = number % 2 === 1;
  const text = `Working on ${label}: I look at what is there, change one thing, and check that it still holds together before going on.`;
  const streamMs = runs ? durationMs / 2 : durationMs;
  const commandSeconds = ((durationMs - streamMs) / 1000).toFixed(2);
  return {
    blocks: [
      { type: "text", text },
      runs
        ? {
            type: "tool_use",
            name: "Bash",
            input: bash(
              `${wait(commandSeconds)}; mkdir -p progress && echo "${label}" >> progress/log.txt && echo "${label} done"`,
              `Run ${label}`,
            )[1],
          }
        : {
            type: "tool_use",
            name: "Write",
            input: {
              file_path: pathIn(turn, `progress/step-${String(number).padStart(3, "0")}.md`),
              content: `# ${label}\n\n${text}\n`,
            },
          },
    ],
    chunkCharacters: CHUNK_CHARACTERS,
    chunkDelayMs: streamMs / Math.ceil(text.length / CHUNK_CHARACTERS),
  };
}

/** A shell command that takes time. Claude Code refuses plain `sleep` in the foreground. */
export function wait(seconds: string): string {
  return `timeout ${seconds} tail -f /dev/null || true`;
}
