import { bash, call, defineScenario, pathIn, say } from "../scenario.ts";

export const failingCommand = defineScenario({
  name: "failing-command",
  summary: "A Bash command prints to both streams and fails; Claude writes REPORT.md and finishes.",
  parameters: { code: 3 },
  steps: ({ code }, turn) => [
    call(
      "I'll run the checks.",
      bash(`echo "running checks"; echo "check failed: 1 of 2" >&2; exit ${code}`, "Run the checks"),
    ),
    call("The checks failed. I'll write down why.", [
      "Write",
      { file_path: pathIn(turn, "REPORT.md"), content: `# Report\n\nThe checks failed with exit code ${code}.\n` },
    ]),
    say(`The checks failed with exit code ${code}; REPORT.md says why.`),
  ],
});
