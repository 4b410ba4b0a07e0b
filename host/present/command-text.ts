import { durationMs } from "@bufbuild/protobuf/wkt";
import {
  type CommandOutput,
  type CommandResult,
  describeCommandEnd,
  hasPassed,
  Phase,
  type SetupResult,
} from "../../proto/index.ts";
import { oneLine, plainText } from "./plain-text.ts";
import { plural } from "./plural.ts";

/** The longest line of output that progress is worth. */
const LINE_LENGTH = 160;

/** How a check or a setup ended, as plain JSON. */
export interface CommandSummary {
  passed: boolean;
  /** How it ended, such as "with exit code 1". */
  ended: string;
  elapsed_seconds: number;
  /** The end of what it wrote. */
  output: string;
}

/** Returns the summary of a command's end. */
export function summarizeCommand(result: CommandResult): CommandSummary {
  const { elapsed, outputTail } = result;
  return {
    passed: hasPassed(result),
    ended: oneLine(describeCommandEnd(result)),
    elapsed_seconds: elapsed === undefined ? 0 : durationMs(elapsed) / 1000,
    output: plainText(outputTail),
  };
}

/** Returns a check's end as a line: that it passed, or how it failed. */
export function checkText({ passed, ended, elapsed_seconds: seconds }: CommandSummary): string {
  return `check ${passed ? "passed" : `failed ${ended}`}, ${seconds.toFixed(1)} s`;
}

/** Returns a setup's end as a line. */
export function setupText({ result, changedPathCount, leftProcessCount }: SetupResult): string {
  const ended = result === undefined ? "" : ` ${oneLine(describeCommandEnd(result))}`;
  const changed = changedPathCount === 0 ? "" : `, ${plural(changedPathCount, "file")} changed`;
  return `setup ended${ended}${changed}${leftProcessCount === 0 ? "" : `, ${leftProcessCount} still running`}`;
}

/** Returns output of a setup or a check as a line: the last one, since a program that says much is not to push all else away. */
export function outputText({ phase, data }: CommandOutput): string {
  const lines = new TextDecoder().decode(data).trim().split("\n");
  const more = lines.length > 1 ? ` (after ${plural(lines.length - 1, "line")})` : "";
  return `${phase === Phase.CHECK ? "check" : "setup"}: ${oneLine(lines.at(-1)!, LINE_LENGTH)}${more}`;
}
