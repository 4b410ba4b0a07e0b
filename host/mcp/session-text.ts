import { cutChars, dollars } from "../../proto/index.ts";
import { checkText } from "../present/command-text.ts";
import { fenced } from "../present/fenced.ts";
import { indent } from "../present/indent.ts";
import { takeWith } from "../present/next-step.ts";
import { oneLine } from "../present/plain-text.ts";
import { readablePatch } from "../present/patch-names.ts";
import { plural } from "../present/plural.ts";
import { CONTAINER_TEXT_NOTE, extent, type SessionSummary } from "../present/session-summary.ts";
import { NOT_TAKEN } from "../present/taken-text.ts";
import type { WaitingFor } from "../present/waiting-for.ts";
import { isPatchWithheld } from "../present/withheld-patch.ts";

/** As many files does each of several sessions list. */
const BRIEF_CHANGES = 10;
/** So much do the lines on changed files take; their names may be long (UTF-16 units). */
const MAX_CHANGES_CHARS = 6000;

/**
 * Returns a session as the model of its parent reads it: first how it ended and why, then what it waits for, its answer, its
 * changes and its patch, at last the call that comes next. What is not there takes no line.
 */
export function sessionText(summary: SessionSummary): string {
  const { sent, waiting, waiting_for: decisions = [], recent_progress: progress = [], no_answer: noAnswer } = summary;
  return paragraphs([
    [headline(summary), ...labeled("waits for", waiting), ...labeled("sent", sent)].join("\n"),
    CONTAINER_TEXT_NOTE,
    section("needs a decision", decisions.map(decisionText)),
    section("decided by nobody", summary.undecided ?? []),
    section("progress", progress.slice(-10)),
    section("answer", [noAnswer ?? "", summary.result]),
    section(`changes (${plural(summary.change_count, "file")})`, changeLines(summary)),
    section("about the patch", summary.patch_notes ?? []),
    section("check of the result", checkLines(summary)),
    section("not in the patch", summary.not_in_patch ?? []),
    patchText(summary),
    nextCall(summary),
  ]);
}

/** Returns the parts of an answer with a line between them, without those that are empty. */
export function paragraphs(parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join("\n\n");
}

/** Returns a session as one of several that a model reads of: without its patch, and of its answer so many characters at most. */
export function briefText(summary: SessionSummary, { answerChars }: { answerChars: number }): string {
  const { session_id: id, waiting, waiting_for: decisions = [], no_answer: noAnswer, result, taken } = summary;
  const cut =
    result.length <= answerChars ? result : `${cutChars(result, answerChars)}… [get_session ${id}: all of it]`;
  const parts = [
    [headline(summary), ...labeled("waits for", waiting), ...labeled("taken", taken)].join("\n"),
    section("needs a decision", decisions.map(decisionText)),
    section("decided by nobody", summary.undecided ?? []),
    section("answer", [noAnswer ?? "", cut]),
    section(`changes (${plural(summary.change_count, "file")})`, changeLines(summary, BRIEF_CHANGES)),
    section("check of the result", checkLines(summary).slice(0, 1)),
  ];
  return parts.filter((part) => part !== "").join("\n");
}

/** The one line that says it all: state, why, how long, how much. */
function headline({
  session_id: id,
  state,
  elapsed_seconds: seconds,
  usage,
  failure,
  canceled_by: by,
}: SessionSummary) {
  const why = failure !== undefined ? `: ${failure.reason}: ${failure.message}` : by === undefined ? "" : `: ${by}`;
  const cost = usage?.cost_usd === undefined ? "" : `, ${dollars(usage.cost_usd)}`;
  const tokens = usage === undefined ? "" : `; ${usage.input_tokens} tokens in, ${usage.output_tokens} out${cost}`;
  return `Session ${id} ${state}${why}\nafter ${seconds.toFixed(1)} s${tokens}`;
}

/** Returns what a label stands before, as a line; none where it is empty. */
export function labeled(name: string, text = ""): string[] {
  return text === "" ? [] : [`${name}: ${text}`];
}

/** Returns lines under their name; empty where there are none. */
export function section(name: string, lines: readonly string[]): string {
  const said = lines.filter((line) => line !== "");
  return said.length === 0 ? "" : `${name}:\n${indent(said.join("\n"), 2)}`;
}

function changeLines({ changes, change_count: count }: SessionSummary, most = Infinity): string[] {
  let chars = 0;
  const lines = changes
    .slice(0, most)
    .map((change) => {
      const from = change.previous_path === undefined ? "" : `, was ${change.previous_path}`;
      return `${change.kind} ${change.path} ${extent(change)}${from}`;
    })
    .filter((line) => (chars += line.length) <= MAX_CHANGES_CHARS);
  return count > lines.length ? [...lines, `and ${count - lines.length} more: read_changes lists them`] : lines;
}

function checkLines({ check }: SessionSummary): string[] {
  if (check === undefined) return [];
  return check.passed ? [checkText(check)] : [checkText(check), check.output];
}

function decisionText(decision: WaitingFor): string {
  const { request_id: id, kind, expire_time: until, tool, input = "", description, questions = [] } = decision;
  const asked =
    kind === "permission"
      ? [`wants to use ${tool ?? "a tool"}: ${oneLine(input)}`, ...labeled("why", description)]
      : questions.map(
          ({ question, options, multi_select: several }) =>
            `asks: ${oneLine(question)} (${several ? "any" : "one"} of: ${options.map(({ label }) => label).join(" | ")})`,
        );
  const call = kind === "permission" ? "decide_permission" : "answer_question";
  return [`${call} with request_id ${JSON.stringify(id)}, before ${until}`, ...asked].join("\n  ");
}

/** The patch, or where it is. */
function patchText(summary: SessionSummary): string {
  const { session_id: id, patch, patch_uri: uri, patch_size_bytes: size } = summary;
  if (patch === undefined && (size === 0 || isPatchWithheld(summary))) return "";
  if (patch === undefined) {
    return `patch: ${size} bytes: read_changes {"session_id":"${id}"} shows it file by file; whole in ${uri}`;
  }
  return fenced(readablePatch(patch), "diff");
}

function nextCall(summary: SessionSummary): string {
  const { session_id: id, state, waiting_for: decisions = [], taken, patch_uri: uri } = summary;
  switch (state) {
    case "succeeded":
    case "failed":
    case "canceled":
      if (taken === undefined || isPatchWithheld(summary)) return "";
      return taken !== NOT_TAKEN
        ? `taken: ${taken}`
        : `next: review the patch; apply_changes, or \`${takeWith(id)}\` on the host's machine, takes it in as a branch or into the files. Elsewhere: save ${uri}, and git apply.`;
    case "idle":
      return "next: send_message gives it another message; stop_session ends it.";
    default:
      return decisions.length > 0 ? "" : "next: wait_session waits for it.";
  }
}
