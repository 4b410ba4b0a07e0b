import { durationMs } from "@bufbuild/protobuf/wkt";
import {
  Decider,
  describeReached,
  type FileChange,
  FileChange_Kind,
  Phase,
  type Question,
  type SessionEvent,
  type SessionFinished,
  toolSubject,
} from "../../proto/index.ts";
import { checkText, outputText, setupText, summarizeCommand } from "./command-text.ts";
import { pathText } from "./path-text.ts";
import { oneLine } from "./plain-text.ts";
import { plural } from "./plural.ts";
import { sizeText } from "./sent-text.ts";
import { stateName } from "./session-summary.ts";

const PHASE_TEXTS: Record<Phase, string> = {
  [Phase.UNSPECIFIED]: "",
  [Phase.QUEUED]: "queued",
  [Phase.IMAGE]: "looking for the image",
  [Phase.CREATE]: "creating the container",
  [Phase.START]: "starting the container",
  [Phase.DIAL]: "reaching the agent",
  [Phase.WORKSPACE]: "preparing the workspace",
  [Phase.CLAUDE]: "starting Claude",
  [Phase.FIRST_REQUEST]: "waiting for Claude's first request",
  [Phase.WORK]: "Claude is working",
  [Phase.COLLECT]: "collecting the changes",
  [Phase.SETUP]: "running the setup",
  [Phase.CHECK]: "running the check",
};

const KIND_SIGNS: Record<FileChange_Kind, string> = {
  [FileChange_Kind.UNSPECIFIED]: "?",
  [FileChange_Kind.ADDED]: "A",
  [FileChange_Kind.MODIFIED]: "M",
  [FileChange_Kind.DELETED]: "D",
  [FileChange_Kind.RENAMED]: "R",
  [FileChange_Kind.MODE_CHANGED]: "T",
  [FileChange_Kind.REVERTED]: "=",
};

/** The longest line that progress is worth. */
const LINE_LENGTH = 160;

/**
 * Returns an event as a line for people. Undefined: they need not see it. A word of the host's begins each line, so
 * that a container's text cannot pose as one.
 */
export function progressLine({ event }: SessionEvent): string | undefined {
  switch (event.case) {
    case "phaseChanged":
      return PHASE_TEXTS[event.value.phase] ?? undefined;
    case "containerProgress":
      return event.value.building ? `image: ${oneLine(event.value.message, LINE_LENGTH)}` : undefined;
    case "connectionMade":
      return "the agent answers";
    case "queuePositionChanged": {
      const { position, reason } = event.value;
      return `place ${position} in the queue${reason === "" ? "" : `: ${oneLine(reason, LINE_LENGTH)}`}`;
    }
    case "connectionLost":
      return `connection to the agent lost (${oneLine(event.value.reason, 80)}); the session goes on, dialling again`;
    case "connectionRestored":
      return "connection to the agent restored";
    case "egressDecided":
      return event.value.allowed
        ? undefined
        : `refused access to ${oneLine(event.value.destination, 80)}: ${oneLine(event.value.reason, LINE_LENGTH)}`;
    case "budgetReached":
      return describeReached(event.value);
    case "cloneProgress": {
      const { stage, percent } = event.value;
      return `clone: ${oneLine(stage, 80)}${percent === undefined ? "" : ` ${percent}%`}`;
    }
    case "commandOutput":
      return outputText(event.value);
    case "setupFinished":
      return setupText(event.value);
    case "checkFinished":
      return checkText(summarizeCommand(event.value));
    case "claudeReady":
      return `Claude Code ${oneLine(event.value.claudeVersion, 20)}, ${oneLine(event.value.model, 60)}, ${oneLine(event.value.permissionMode, 30)}`;
    case "assistantText":
      return `Claude: ${oneLine(event.value.text, LINE_LENGTH)}`;
    case "claudeNotice": {
      const { text, saidToClaude } = event.value;
      return `${saidToClaude ? "said to Claude" : "Claude Code"}: ${oneLine(text, LINE_LENGTH)}`;
    }
    case "toolUseStarted":
      return `tool: ${oneLine(event.value.name, 40)} ${oneLine(toolSubject(event.value.inputJson), LINE_LENGTH - 40)}`.trim();
    case "toolUseFinished":
      return event.value.failed ? `tool failed: ${oneLine(event.value.output, LINE_LENGTH)}` : undefined;
    case "filePatched":
      return event.value.partIndex === 0 && event.value.change !== undefined
        ? changeLine(event.value.change)
        : undefined;
    case "commitMade": {
      const { commitId, subject, branch, fileCount, commitCount } = event.value;
      const what = commitCount > 1 ? plural(commitCount, "commit") : `commit ${oneLine(commitId.slice(0, 7), 7)}`;
      const on = branch === "" ? "" : ` on ${oneLine(branch, 60)}`;
      return `${what}${on}: ${oneLine(subject, 80)} (${plural(fileCount, "file")})`;
    }
    case "backgroundTasksChanged":
      return event.value.descriptions.length === 0
        ? undefined
        : `in the background: ${oneLine(event.value.descriptions.join("; "), LINE_LENGTH)}`;
    case "retrying": {
      const { attempt, maxAttemptCount, httpStatus, reason, delay } = event.value;
      const seconds = delay === undefined ? "" : ` in ${(durationMs(delay) / 1000).toFixed(1)} s`;
      const why = `${httpStatus === 0 ? "" : httpStatus} ${oneLine(reason, LINE_LENGTH)}`.trim() || "no answer";
      if (maxAttemptCount === 0) return `model request failed: ${why}`;
      return `model request failed: ${why}, attempt ${attempt} of ${maxAttemptCount}, next${seconds}`;
    }
    case "permissionRequested": {
      const { toolName, inputJson } = event.value;
      return `asks for permission: ${oneLine(toolName, 40)} ${oneLine(toolSubject(inputJson), LINE_LENGTH - 60)}`.trim();
    }
    case "permissionDecided":
      return `permission ${event.value.allowed ? "given" : "denied"}${deciderText(event.value.decider)}`;
    case "questionAsked":
      return `asks: ${oneLine(event.value.questions.map(questionText).join(" / "), LINE_LENGTH)}`;
    case "questionAnswered": {
      const answers = event.value.answers.map(({ values }) => values.join(", ")).join(" / ");
      return answers === ""
        ? `question left to Claude${deciderText(event.value.decider)}`
        : `answered: ${oneLine(answers, LINE_LENGTH)}`;
    }
    case "messageQueued":
      return `message queued, ${event.value.waitingCount} waiting`;
    case "sessionRestored":
      return event.value.conversationRestored
        ? `goes on with ${oneLine(event.value.previousSessionId, 40)}`
        : `goes on with the changes of ${oneLine(event.value.previousSessionId, 40)}, in a new conversation`;
    case "userFilesCopied":
      return `the user's own set-up is in place: ${plural(event.value.fileCount, "file")}, ${sizeText(Number(event.value.sizeBytes))}`;
    case "turnStarted":
      // The task is no news.
      return event.value.turn < 2 ? undefined : `message: ${oneLine(event.value.text, LINE_LENGTH)}`;
    case "turnFinished":
      if (event.value.interrupted) return "interrupted";
      if (event.value.failure === undefined && event.value.text === "") return "Claude gave no answer";
      return event.value.failure === undefined
        ? undefined
        : `turn failed: ${oneLine(event.value.failure.message, LINE_LENGTH)}`;
    case "sessionFinished":
      return endLine(event.value);
    default:
      return undefined;
  }
}

/** How a session ended: its final state, and why where it did not succeed. */
function endLine({ state, result }: SessionFinished): string {
  const outcome = result?.outcome;
  if (outcome?.case === "failure") return `failed: ${oneLine(outcome.value.reason, 64)}`;
  if (outcome?.case === "cancellation") return `canceled: ${oneLine(outcome.value.reason, LINE_LENGTH)}`;
  return stateName(state);
}

function questionText({ question, options }: Question): string {
  return options.length === 0 ? question : `${question} (${options.map(({ label }) => label).join(" | ")})`;
}

/** Returns why nobody made a decision, in words that follow it. Empty: somebody did. */
export function deciderText(decider: Decider): string {
  if (decider === Decider.TIMEOUT) return ", since nobody decided in time";
  if (decider === Decider.POLICY) return ", since nobody could be asked";
  return decider === Decider.END ? ", since the turn has ended" : "";
}

/** One changed file as git's short status has it, with its line counts. */
function changeLine(change: FileChange): string {
  const from = change.previousPath === "" ? "" : `${pathText(change.previousPath, 200)} → `;
  const counts = change.binary ? "binary" : `+${change.addedLineCount} -${change.deletedLineCount}`;
  return `${KIND_SIGNS[change.kind] ?? "?"} ${from}${pathText(change.path, 200)} ${counts}`;
}
