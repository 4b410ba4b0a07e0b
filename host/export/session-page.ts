import { dollars, type Session } from "../../proto/index.ts";
import { oneLine } from "../present/plain-text.ts";
import { repositoryName } from "../present/sent-text.ts";
import { extent, type SessionSummary } from "../present/session-summary.ts";
import { clock } from "../present/status-line.ts";
import { usageText } from "../present/usage-text.ts";
import { sessionEntry } from "../present/session-entry.ts";
import { Html, html } from "./html.ts";
import { POLICY, STYLE } from "./style.ts";

/** What an exported session consists of. */
export interface SessionParts {
  session: Session;
  summary: SessionSummary;
  answer: string;
  feed: Html;
  diff: Html;
}

/** Returns a session as one page of HTML that needs nothing else, and runs nothing. */
export function sessionPage({ session, summary, answer, feed, diff }: SessionParts): string {
  const task = session.spec?.task ?? "";
  const { create_time: created } = sessionEntry(session);
  const cost = summary.usage?.cost_usd;
  const rows: [string, string][] = [
    ["session", session.id],
    ["state", summary.state],
    ["failure", summary.failure === undefined ? "" : `${summary.failure.reason}: ${summary.failure.message}`],
    ["canceled", summary.canceled_by ?? ""],
    ["repository", repositoryName(session.spec?.repository)],
    ["created", created],
    ["time", clock(summary.elapsed_seconds)],
    ["usage", usageText(summary.usage)],
    ["cost", cost === undefined ? "" : dollars(cost)],
    ["check", summary.check === undefined ? "" : summary.check.ended],
  ];
  const files = summary.changes.map(
    (change) => html`<li>${change.kind} <code>${change.path}</code> ${extent(change)}</li>`,
  );
  const missing = [...(summary.patch_notes ?? []), ...(summary.not_in_patch ?? [])];
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${new Html(POLICY)}" />
        <meta name="viewport" content="width=device-width" />
        <meta name="referrer" content="no-referrer" />
        <title>${oneLine(task, 80)}</title>
        ${new Html(`<style>${STYLE}</style>`)}
      </head>
      <body>
        <main>
          <h1>${oneLine(task, 120)}</h1>
          <table>
            ${rows
              .filter(([, text]) => text !== "")
              .map(
                ([name, text]) =>
                  html`<tr>
                    <th scope="row">${name}</th>
                    <td>${text}</td>
                  </tr> `,
              )}
          </table>
          <h2>Time</h2>
          ${timeline(summary)}
          <h2>Task</h2>
          <pre>${task}</pre>
          ${
            answer === ""
              ? ""
              : html`<h2>Answer</h2>
                  <pre>${answer}</pre>`
          }
          <h2>Changes (${summary.change_count})</h2>
          <ul>
            ${files}
          </ul>
          ${missing.map((line) => html`<p class="note">${line}</p>`)} ${diff}
          <h2>What happened</h2>
          ${feed}
          <p class="note">
            Made by ClaudeCluster. What Claude and its tools said is shown as text; secrets that are known were left
            out, and what looked like one.
          </p>
        </main>
      </body>
    </html> `.text;
}

/** A bar with the phases to scale, and a table with the same. */
function timeline({ phases }: SessionSummary): Html {
  const total = phases.reduce((sum, { seconds }) => sum + seconds, 0) || 1;
  let at = 0;
  const bars = phases.map(({ phase, seconds }) => {
    const width = (1000 * seconds) / total;
    const bar = html`<rect x="${at.toFixed(2)}" y="4" width="${width.toFixed(2)}" height="20"
      ><title>${phase} ${seconds} s</title></rect
    >`;
    at += width;
    return bar;
  });
  const rows = phases.map(
    ({ phase, seconds }) =>
      html`<tr>
        <th scope="row">${phase}</th>
        <td>${seconds.toFixed(3)} s</td>
      </tr>`,
  );
  return html`<svg viewBox="0 0 1000 28" preserveAspectRatio="none" aria-hidden="true">${bars}</svg>
    <table>
      ${rows}
    </table>`;
}
