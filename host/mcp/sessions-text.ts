import { dollars } from "../../proto/index.ts";
import { plural } from "../present/plural.ts";
import type { SessionEntry } from "../present/session-entry.ts";
import { CONTAINER_TEXT_NOTE, type SessionSummary } from "../present/session-summary.ts";
import { briefText, labeled, paragraphs } from "./session-text.ts";

/** So much do the answers of several sessions share; no one gets more than the second (UTF-16 units). */
const ANSWERS_CHARS = 20_000;
const MAX_ANSWER_CHARS = 3000;

/** Task of which no session could be made, and why. */
export interface NotStarted {
  task: string;
  error: string;
}

/** Returns several sessions as a model reads them: how many ended how, each in short, and the calls that show more. */
export function severalText(summaries: readonly SessionSummary[], notStarted: readonly NotStarted[] = []): string {
  const counts = Map.groupBy(summaries, ({ state }) => state);
  const states = [...counts].map(([state, { length }]) => `${length} ${state}`);
  if (notStarted.length > 0) states.push(`${notStarted.length} not started`);
  const answerChars = Math.min(MAX_ANSWER_CHARS, Math.floor(ANSWERS_CHARS / Math.max(1, summaries.length)));
  const live = summaries.filter(({ state, waiting_for: waits }) => !FINAL.has(state) && waits === undefined);
  const next = live.map(({ session_id: id }) => id);
  return paragraphs([
    `${plural(summaries.length + notStarted.length, "session")}: ${states.join(", ")}`,
    summaries.length === 0 ? "" : CONTAINER_TEXT_NOTE,
    ...summaries.map((summary) => briefText(summary, { answerChars })),
    ...notStarted.map(({ task, error }) => `not started: ${error}\n  task: ${task}`),
    summaries.length === 0
      ? ""
      : [
          "next: get_session shows one with its patch, read_changes one file's diff; compare_sessions says which go together; apply_changes takes one in.",
          ...(next.length === 0
            ? []
            : [`wait_session {"session_ids":${JSON.stringify(next)}} waits for what still runs.`]),
        ].join("\n"),
  ]);
}

const FINAL = new Set(["succeeded", "failed", "canceled"]);

/** Session in a list, and whether it is of the project that the parent is in. Absent: nobody knows. */
export type ListedSession = SessionEntry & { this_project?: boolean };

/** Returns a list of sessions as a model reads it: a line for each, newest first, those of the parent's project before others. */
export function listText(entries: readonly ListedSession[], nextPageToken: string): string {
  if (entries.length === 0) return "There are no such sessions.";
  const of = (which: boolean | undefined) => entries.filter(({ this_project: here }) => here === which).map(entryText);
  const [here, others] = [of(true), of(false)];
  const more = nextPageToken === "" ? [] : [`There are more: page_token ${JSON.stringify(nextPageToken)}.`];
  return [
    ...of(undefined),
    ...(here.length === 0 ? [] : ["of this project:", ...here]),
    ...(others.length === 0 ? [] : ["of other projects, or of none:", ...others]),
    ...more,
  ].join("\n");
}

function entryText(entry: SessionEntry): string {
  const { session_id: id, state, change_count: count, cost_usd: cost, beside_patch: beside } = entry;
  const facts = [
    entry.ended_by === undefined ? state : `${state} (${entry.ended_by})`,
    `created ${entry.create_time}${entry.caller === undefined ? "" : ` by ${entry.caller}`}`,
    `${entry.elapsed_seconds.toFixed(1)} s`,
    ...(count === undefined ? [] : [`${plural(count, "file")} changed`]),
    ...labeled("taken", entry.taken),
    ...(beside === true ? ["and work that the patch does not hold"] : []),
    ...(cost === undefined ? [] : [dollars(cost)]),
    ...(entry.repository === "" ? [] : [`on ${entry.repository}`]),
    ...labeled("waits for", entry.waiting),
  ];
  return `${id} ${facts.join(", ")}\n  ${entry.task}`;
}
