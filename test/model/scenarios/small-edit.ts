import type { ToolCall } from "../conversation.ts";
import { call, defineScenario, pathIn, say, type Step, type Turn } from "../scenario.ts";

/** What is played when nobody names a scenario: the task becomes one line at the end of NOTES.md. */
export const smallEdit = defineScenario({
  name: "small-edit",
  summary: "Default. Adds the task as a line to NOTES.md, whether or not the file exists.",
  steps: (_, turn) => [
    call("I'll look at the notes first.", ["Read", { file_path: pathIn(turn, "NOTES.md") }]),
    noteDown(turn),
    say(`Added a line to NOTES.md: ${lineFor(turn)}`),
  ],
});

function noteDown(turn: Turn): Step {
  const file_path = pathIn(turn, "NOTES.md");
  const line = lineFor(turn);
  const lines = readLines(turn.calls[0]);
  const last = lines?.findLast((text) => text.trim() !== "" && lines.filter((other) => other === text).length === 1);
  if (last === undefined)
    return call("There are none yet, so I'll start them.", ["Write", { file_path, content: `# Notes\n\n${line}\n` }]);
  return call("I'll add a line at the end.", ["Edit", { file_path, old_string: last, new_string: `${last}\n${line}` }]);
}

function lineFor(turn: Turn): string {
  const task = turn.text
    .replace(/\[scenario:[^\]]*\]/g, "")
    .replace(/\s+/g, " ")
    .trim();
  return `- ${task === "" ? "(no task)" : task.slice(0, 80)}`;
}

/** Lines of the file that a Read call has shown; undefined when it could not be read. */
export function readLines(read: ToolCall | undefined): readonly string[] | undefined {
  if (read?.result === undefined || read.result.isError) return undefined;
  return read.result.text.split("\n").flatMap((line) => /^\s*\d+[→\t](.*)$/.exec(line)?.[1] ?? []);
}
