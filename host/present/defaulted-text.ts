import { durationMs } from "@bufbuild/protobuf/wkt";
import { PendingRequest_Kind, type Session } from "../../proto/index.ts";
import { oneLine } from "./plain-text.ts";
import { plural } from "./plural.ts";

/** Returns a line for each decision that nobody made: what became of it, and why. */
export function defaultedLines({ spec, defaultedDecisions, defaultedDecisionCount }: Session): string[] {
  const seconds = spec?.decisionTimeout === undefined ? "" : ` within ${durationMs(spec.decisionTimeout) / 1000} s`;
  const lines = defaultedDecisions.map(({ kind, toolName, nobodyToAsk }) => {
    const what =
      kind === PendingRequest_Kind.QUESTION
        ? "a question was left to Claude"
        : `the permission to use ${oneLine(toolName, 80) || "a tool"} was denied`;
    const why = nobodyToAsk
      ? "nobody could be asked, and the decision policy wants a person"
      : `nobody decided${seconds}`;
    return `${what}: ${why}`;
  });
  const more = defaultedDecisionCount - lines.length;
  return more > 0 ? [...lines, `and ${plural(more, "decision")} more`] : lines;
}
