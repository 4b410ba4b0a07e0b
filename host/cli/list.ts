import type { Session } from "../../proto/index.ts";
import { sessionEntry } from "../present/session-entry.ts";
import { UNKNOWN_COLUMNS, wrap } from "../present/indent.ts";
import { oneLine } from "../present/plain-text.ts";
import { plural } from "../present/plural.ts";
import { clock, shortId, styleOf } from "../present/status-line.ts";
import { stateName } from "../present/session-summary.ts";
import { takenWord } from "../present/taken-text.ts";
import { painterFor } from "../present/terminal.ts";
import type { Sessions } from "../session/sessions.ts";
import { FINAL_STATES, LIVE_STATES } from "../session/states.ts";
import { type CommandIo, EXIT } from "./command-io.ts";
import { printJson } from "./print-json.ts";

const ENDED_BY = "ENDED BY";
const MAX_ENDING_COLUMNS = 28;
const MAX_CALLER_COLUMNS = 16;
/** What a terminal has at least for the task, before there is a column for how sessions ended. */
const MIN_TASK_COLUMNS = 20;

/** Filter and form of the list that is printed. */
export interface ListOptions {
  /** Kind of sessions. Undefined: both. */
  only?: "live" | "finished";
  /** Id of their parent. Undefined: any. */
  parent?: string;
  /** Most sessions that are listed. */
  limit: number;
  json: boolean;
}

/** Prints a list of sessions, newest first: a table, or JSON with `json`. */
export async function listCommand(
  sessions: Sessions,
  { only, parent, limit, json }: ListOptions,
  io: CommandIo,
): Promise<number> {
  const states = only === undefined ? [] : only === "live" ? LIVE_STATES : FINAL_STATES;
  const found: Session[] = [];
  for (let pageToken = ""; found.length < limit;) {
    const page = await sessions.list({
      states,
      pageSize: Math.min(limit - found.length, 1000),
      ...(parent !== undefined && { parent }),
      ...(pageToken !== "" && { pageToken }),
    });
    found.push(...page.sessions);
    pageToken = page.nextPageToken;
    if (pageToken === "") break;
  }
  if (json) printJson(io.stdout, found.map(sessionEntry));
  else printTable(found, io);
  return EXIT.done;
}

function printTable(sessions: readonly Session[], { stdout, env }: CommandIo): void {
  if (sessions.length === 0) return void stdout.write("No sessions.\n");
  const paint = painterFor(stdout, env);
  const width = stdout.isTTY === true ? stdout.columns || UNKNOWN_COLUMNS : Infinity;
  const entries = sessions.map(sessionEntry);
  const words = sessions.map(takenWord);
  // No column where nothing is to be said.
  const takenColumn = (text: string) => (words.some((word) => word !== "") ? `${text.padEnd(6)}  ` : "");
  const callerWidth = Math.max(...entries.map(({ caller = "" }) => Math.min(caller.length, MAX_CALLER_COLUMNS)));
  const callerColumn = (text: string) =>
    callerWidth === 0 ? "" : `${oneLine(text, MAX_CALLER_COLUMNS).padEnd(Math.max(callerWidth, "CALLER".length))}  `;
  const columns = ["SESSION".padEnd(30), "STATE".padEnd(9), "TIME".padStart(7), "FILES".padStart(5), ""].join("  ");
  const head = `${columns}${takenColumn("TAKEN")}${callerColumn("CALLER")}`;
  const endingRoom = Math.min(MAX_ENDING_COLUMNS, width - head.length - MIN_TASK_COLUMNS - 2);
  const endings = entries.map(({ ended_by: by }) => (by === undefined ? "" : oneLine(by, Math.max(endingRoom, 1))));
  const longest = Math.max(...endings.map(({ length }) => length));
  // No column where nothing is to be said, or where it would take the task's.
  const endingColumn = (text: string) =>
    longest === 0 || endingRoom < ENDED_BY.length ? "" : `${text.padEnd(Math.max(longest, ENDED_BY.length))}  `;
  stdout.write(`${paint("dim", wrap(`${head}${endingColumn(ENDED_BY)}TASK`, width)[0] ?? "")}\n`);
  for (const [index, session] of sessions.entries()) {
    const { session_id: id, elapsed_seconds: seconds, change_count: count = "-", task, beside_patch } = entries[index]!;
    const caller = callerColumn(entries[index]!.caller ?? "");
    const files = `${count}${beside_patch === true ? "+" : ""}`;
    const start = `${id}  `;
    const rest = `  ${clock(seconds).padStart(7)}  ${files.padStart(5)}  ${takenColumn(words[index]!)}${caller}${endingColumn(endings[index]!)}${task}`;
    const state = stateName(session.state).padEnd(9);
    const room = width - start.length - state.length;
    stdout.write(`${start}${paint(styleOf(session.state), state)}${wrap(rest, room)[0]}\n`);
  }
  for (const { session_id: id, waiting } of entries) {
    if (waiting !== undefined) stdout.write(`${shortId(id)} is waiting: ${waiting}\n`);
  }
  const untaken = words.filter((word) => word === "no").length;
  if (untaken > 0) {
    const what = `${plural(untaken, "session")} with changes that nobody has taken; kept until they are`;
    stdout.write(`${paint("dim", `${what}: claudecluster apply, or remove --discard`)}\n`);
  }
  if (!entries.some(({ beside_patch: beside }) => beside === true)) return;
  stdout.write(paint("dim", "+ beside the patch there is more, or may be: claudecluster show <session>") + "\n");
}
