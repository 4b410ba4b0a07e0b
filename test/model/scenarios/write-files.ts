import { bash, call, defineScenario, pathIn, say, shellQuote } from "../scenario.ts";

export const writeFiles = defineScenario({
  name: "write-files",
  summary:
    "Writes `count` files <prefix>-001.txt…, each with `content` and its number, one per step; with via=bash by the shell.",
  parameters: { count: 3, prefix: "file", content: "content", via: "write" },
  steps: ({ count, prefix, content, via }, turn) => [
    ...Array.from({ length: count }, (_, index) => {
      const number = String(index + 1).padStart(3, "0");
      const path = `${prefix}-${number}.txt`;
      const text = `${content} ${number}\n`;
      if (via !== "bash") return call(`Writing ${path}.`, ["Write", { file_path: pathIn(turn, path), content: text }]);
      return call(
        `Writing ${path}.`,
        bash(
          `f=${shellQuote(path)}; mkdir -p "$(dirname "$f")"; printf '%s' ${shellQuote(text)} > "$f"`,
          `Write ${path}`,
        ),
      );
    }),
    say(`Wrote ${count} files with prefix ${prefix}.`),
  ],
});
