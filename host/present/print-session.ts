import { type Session, Session_State } from "../../proto/index.ts";
import { checkText } from "./command-text.ts";
import { hang, indent } from "./indent.ts";
import { decideWith, takeWith } from "./next-step.ts";
import { oneLine, plainText } from "./plain-text.ts";
import { sessionEntry } from "./session-entry.ts";
import { extent, type SessionSummary } from "./session-summary.ts";
import { clock, styleOf } from "./status-line.ts";
import { NOT_TAKEN } from "./taken-text.ts";
import type { WaitingFor } from "./waiting-for.ts";
import { type Output, painterFor } from "./terminal.ts";
import { usageText } from "./usage-text.ts";

function decisionText(sessionId: string, decision: WaitingFor): string {
  const { request_id: id, kind, expire_time: until, tool, input, questions = [] } = decision;
  const what =
    tool !== undefined
      ? `permission to use ${tool} ${oneLine(input ?? "")}`
      : questions
          .map(
            ({ question, options }) => `asks: ${oneLine(question)} (${options.map(({ label }) => label).join(" | ")})`,
          )
          .join("\n  ");
  return `${id}, until ${until}\n  ${what}\n  ${decideWith(sessionId, kind)}`;
}

/** Prints all that is known of a session, for people. */
export function printSession(
  session: Session,
  summary: SessionSummary,
  { stdout, env }: { stdout: Output; env: NodeJS.ProcessEnv },
): void {
  const paint = painterFor(stdout, env);
  const columns = stdout.isTTY === true ? stdout.columns : undefined;
  const { create_time: created, parent, caller = "" } = sessionEntry(session);
  const rows: [string, string][] = [
    ["session", session.id],
    ["state", paint(styleOf(session.state), summary.state)],
    ["failure", summary.failure === undefined ? "" : `${summary.failure.reason}: ${summary.failure.message}`],
    ["canceled", summary.canceled_by ?? ""],
    ["waiting", summary.waiting ?? ""],
    ["created", created],
    ["elapsed", clock(summary.elapsed_seconds)],
    ["parent", parent],
    ["caller", caller],
    ["repository", session.spec?.repository === undefined && session.spec?.userFiles === undefined ? "" : summary.sent],
    ["settings", summary.project_settings === true ? "with those of the repository" : ""],
    ["egress", summary.egress ?? ""],
    ["setup", summary.setup === undefined ? "" : `ended ${summary.setup.ended}`],
    ["check", summary.check === undefined ? "" : checkText(summary.check)],
    ["container", summary.container_id.slice(0, 12)],
    ["taken", summary.taken === NOT_TAKEN ? `${NOT_TAKEN}: ${takeWith(session.id)}` : (summary.taken ?? "")],
    ["usage", usageText(summary.usage)],
    ["timeline", summary.phases.map(({ phase, seconds }) => `${phase} ${seconds.toFixed(2)}s`).join(", ")],
  ];
  for (const [name, text] of rows) {
    const lead = name.padEnd(13);
    if (text !== "") stdout.write(`${paint("dim", lead)}${hang(lead, text, columns).slice(lead.length)}\n`);
  }
  section("task", plainText(session.spec?.task ?? ""));
  if (session.state === Session_State.IDLE) section("waits for", `a message: claudecluster send ${session.id} …`);
  section("waits for", (summary.waiting_for ?? []).map((each) => decisionText(session.id, each)).join("\n"));
  section("progress", (summary.recent_progress ?? []).join("\n"));
  section("decided by nobody", (summary.undecided ?? []).join("\n"));
  section("no answer", summary.no_answer ?? "");
  section("answer", summary.result);
  const files = summary.changes.map((change) => `${change.kind.padEnd(8)} ${change.path}  ${extent(change)}`);
  if (summary.change_count > files.length) files.push(`and ${summary.change_count - files.length} more`);
  if (summary.check?.passed === false) section("the check wrote", summary.check.output);
  section("changes", files.join("\n"));
  section("patch", (summary.patch_notes ?? []).join("\n"));
  section("beside the patch", (summary.not_in_patch ?? []).join("\n"));

  function section(name: string, text: string): void {
    if (text !== "") stdout.write(`\n${paint("dim", name)}\n${indent(text, 2, columns)}\n`);
  }
}
