import { bash, call, defineScenario, pathIn, say } from "../scenario.ts";

const LINE_BYTES = 64;

export const hugeEdit = defineScenario({
  name: "huge-edit",
  summary:
    "Bash creates huge.txt of `bytes`, Edit changes one word in it (the CLI echoes the whole file in one line), then Bash prints `line` bytes without a newline.",
  parameters: { bytes: 3_200_000, line: 5_000_000 },
  steps: ({ bytes, line }, turn) => {
    const lines = Math.ceil(bytes / LINE_BYTES);
    const middle = `line ${String(Math.ceil(lines / 2)).padStart(8, "0")}`;
    const file_path = pathIn(turn, "huge.txt");
    return [
      call(
        "I'll create a large file.",
        bash(
          `awk 'BEGIN { for (i = 1; i <= ${lines}; i++) printf "line %08d %s\\n", i, "the quick brown fox jumps over the lazy dog again." }' > huge.txt && wc -c huge.txt`,
          "Create a large file",
        ),
      ),
      call("I'll look at its start.", ["Read", { file_path, limit: 2 }]),
      call("I'll change one word.", [
        "Edit",
        { file_path, old_string: `${middle} the quick`, new_string: `${middle} the slow` },
      ]),
      call("And print one very long line.", bash(`head -c ${line} /dev/zero | tr '\\0' x`, "Print one long line")),
      say("One word of a large file is changed."),
    ];
  },
});

export const longAnswer = defineScenario({
  name: "long-answer",
  summary: "One answer of `bytes`, sent at once: the CLI prints it twice, as assistant line and as result.",
  parameters: { bytes: 2_000_000 },
  steps: ({ bytes }) => [
    say(
      Array.from(
        { length: Math.ceil(bytes / LINE_BYTES) },
        (_, index) => `${`answer ${String(index + 1).padStart(8, "0")} `.padEnd(LINE_BYTES - 1, ".")}\n`,
      ).join(""),
    ),
  ],
});

export const outputFlood = defineScenario({
  name: "output-flood",
  summary: "Bash prints `megabytes` of numbered lines.",
  parameters: { megabytes: 30 },
  steps: ({ megabytes }) => {
    const lines = Math.ceil((megabytes * 1_000_000) / LINE_BYTES);
    return [
      call(
        "I'll print a great deal.",
        bash(
          `awk 'BEGIN { for (i = 1; i <= ${lines}; i++) printf "flood %08d %s\\n", i, "0123456789012345678901234567890123456789012345678" }'`,
          "Print a great deal",
        ),
      ),
      say("That was a great deal of output."),
    ];
  },
});
