import { durationMs } from "@bufbuild/protobuf/wkt";
import { html, nothing, type TemplateResult } from "lit";
import { dollars, hasPassed, type Session, Session_State as State } from "../../../proto/index.ts";
import { checkText, summarizeCommand } from "../../present/command-text.ts";
import { plural } from "../../present/plural.ts";
import { stateName } from "../../present/session-summary.ts";
import { takenText } from "../../present/taken-text.ts";
import type { PatchedFile } from "../diff/patch.ts";
import { durationText } from "../parts/duration.ts";
import { plainText } from "../parts/plain-text.ts";

/** Shows what one attempt came to: check, size, cost, time. */
export function attemptFacts(session: Session, files: readonly PatchedFile[] | undefined): TemplateResult {
  const { result, taken } = session;
  const cost = (result?.meteredUsage ?? result?.usage)?.costUsd;
  const rows: [string, TemplateResult | string][] = [
    ["State", stateView(session)],
    ["Check", checkView(session)],
    ["Changes", sizeView(session, files)],
    ["Cost", cost === undefined ? "–" : dollars(cost)],
    ["Time", result?.elapsed === undefined ? "–" : durationText(durationMs(result.elapsed))],
    ...(taken === undefined
      ? []
      : [["Taken", html`<span class="good">${plainText(takenText(session)!)}</span>`] as [string, TemplateResult]]),
  ];
  return html`<dl>
    ${rows.map(
      ([name, value]) =>
        html`<dt>${name}</dt>
          <dd>${value}</dd>`,
    )}
  </dl>`;
}

function stateView({ state, result }: Session): TemplateResult {
  const failure = result?.outcome.case === "failure" ? result.outcome.value.message : "";
  const look = state === State.SUCCEEDED ? "good" : state === State.FAILED ? "bad" : "";
  return html`<span class=${look}>${stateName(state)}</span> ${failure === "" ? nothing : plainText(failure)}`;
}

function checkView({ result }: Session): TemplateResult | string {
  const { check } = result ?? {};
  if (check === undefined) return "none";
  const look = hasPassed(check) ? "good" : "bad";
  return html`<span class=${look}>${plainText(checkText(summarizeCommand(check)).replace(/^check /, ""))}</span>`;
}

function sizeView({ result, live }: Session, files: readonly PatchedFile[] | undefined): TemplateResult {
  const changed = plural(result?.changeCount ?? live?.changeCount ?? 0, "file");
  if (files === undefined) return html`${changed}`;
  const sum = (of: (file: PatchedFile) => number) => files.reduce((total, file) => total + of(file), 0);
  return html`${changed} <span class="good">+${sum(({ addedLines }) => addedLines)}</span>
    <span class="bad">−${sum(({ deletedLines }) => deletedLines)}</span>`;
}
