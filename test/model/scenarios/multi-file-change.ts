import type { ToolCall } from "../conversation.ts";
import { bash, defineScenario, pathIn, say, shellQuote, type Block, type Step } from "../scenario.ts";
import { readLines } from "./small-edit.ts";

const LANGUAGES = `export const greetings = {
  en: "Hello",
  fr: "Bonjour",
  ja: "こんにちは",
};
`;

const TEST = `import assert from "node:assert/strict";
import test from "node:test";
import { greetings } from "../src/languages.js";

test("every language has a greeting", () => {
  for (const greeting of Object.values(greetings)) assert.notEqual(greeting, "");
});
`;

/** Works on any repository; made for one with README.md, src/greet.js and the file to delete. */
export const multiFileChange = defineScenario({
  name: "multi-file-change",
  summary:
    "Reads and edits README.md and src/greet.js, creates files with Write and Bash (one executable), deletes two with Bash.",
  parameters: { delete: "src/legacy.js" },
  steps: ({ delete: removed }, turn) => {
    const [readme, greet] = turn.calls;
    return [
      {
        blocks: [
          {
            type: "thinking",
            text: "The greeting is in src/greet.js. I should read it and the README before changing anything.",
          },
          { type: "text", text: "I'll read the README and the greeting first." },
          { type: "tool_use", name: "Read", input: { file_path: pathIn(turn, "README.md") } },
          { type: "tool_use", name: "Read", input: { file_path: pathIn(turn, "src/greet.js") } },
        ],
      },
      edits([
        change(pathIn(turn, "README.md"), readme, (first) => `${first}\n\nGreets in English, French and Japanese.`),
        change(
          pathIn(turn, "src/greet.js"),
          greet,
          (first) => `import { greetings } from "./languages.js";\n\n${first}`,
        ),
      ]),
      {
        blocks: [
          { type: "text", text: "Now the languages, a test, and a scratch file." },
          {
            type: "tool_use",
            name: "Write",
            input: { file_path: pathIn(turn, "src/languages.js"), content: LANGUAGES },
          },
          {
            type: "tool_use",
            name: "Write",
            input: { file_path: pathIn(turn, "test/languages.test.js"), content: TEST },
          },
          {
            type: "tool_use",
            name: "Write",
            input: { file_path: pathIn(turn, "scratch.txt"), content: "not needed for long\n" },
          },
        ],
      },
      tool(
        "I'll add a small command.",
        bash(
          "mkdir -p bin && printf '#!/bin/sh\\necho hello\\n' > bin/greet && chmod +x bin/greet && ls bin",
          "Create an executable script",
        ),
      ),
      tool(
        "And clean up.",
        bash(`rm -f scratch.txt ${shellQuote(removed)} && echo removed`, "Remove files that are no longer needed"),
      ),
      say(
        "The greeting now knows three languages. I edited README.md and src/greet.js, added src/languages.js with a test and bin/greet, and removed what was no longer needed.",
      ),
    ];
  },
});

function edits(blocks: readonly Block[]): Step {
  return { blocks: [{ type: "text", text: "Now I'll make the two edits." }, ...blocks] };
}

function tool(text: string, [name, input]: readonly [string, unknown]): Step {
  return {
    blocks: [
      { type: "text", text },
      { type: "tool_use", name, input },
    ],
  };
}

/** Rewrites the first line of a file that was read; writes the file anew when there is none. */
function change(file_path: string, read: ToolCall | undefined, rewrite: (first: string) => string): Block {
  const first = readLines(read)?.find((line) => line.trim() !== "");
  if (first === undefined)
    return { type: "tool_use", name: "Write", input: { file_path, content: `${rewrite("")}\n` } };
  return { type: "tool_use", name: "Edit", input: { file_path, old_string: first, new_string: rewrite(first) } };
}
