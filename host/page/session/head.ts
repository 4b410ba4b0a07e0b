import { timestampMs } from "@bufbuild/protobuf/wkt";
import { html, nothing, type TemplateResult } from "lit";
import { dollars, isFinal, Session_State as State } from "../../../proto/index.ts";
import { plural } from "../../present/plural.ts";
import { sentText } from "../../present/sent-text.ts";
import { elapsedSeconds, stateName } from "../../present/session-summary.ts";
import { clock } from "../../present/status-line.ts";
import { oneLine, plainText } from "../parts/plain-text.ts";
import { hrefOf } from "../router/route.ts";
import type { FeedText } from "./feed-text.ts";
import { longText } from "./long-text.ts";
import type { SessionLog } from "./session-log.ts";

const STYLES: Partial<Record<State, string>> = {
  [State.SUCCEEDED]: "good",
  [State.FAILED]: "bad",
  [State.CANCELED]: "warn",
  [State.WAITING]: "warn",
};

const TITLE_LENGTH = 160;

/** Shows what a session is, how it stands, and what it does now. */
export function sessionHead(log: SessionLog, task: FeedText, nowMs: number, onChange: () => void): TemplateResult {
  const { session } = log;
  const { id, state, spec, createTime, parent, caller } = session;
  const { changeCount = 0 } = session.result ?? session.live ?? {};
  const fact = (name: string, value: TemplateResult | string | undefined) =>
    value === undefined || value === ""
      ? nothing
      : html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`;
  const created = createTime === undefined ? undefined : new Date(timestampMs(createTime));
  const model = log.model || (spec?.model ?? "");
  const settings = [
    spec?.permissionMode ?? "",
    spec?.loadProjectSettings === true ? "with the repository's settings" : "",
  ]
    .filter(Boolean)
    .join(", ");
  return html`<header class="head">
    <h1>${oneLine(spec?.task ?? "Session", TITLE_LENGTH)}</h1>
    <div class="line">
      <span class=${`state ${STYLES[state] ?? ""}`}>${stateName(state)}</span>
      <span>${clock(elapsedSeconds(session, nowMs))}</span>
      <span>${cost(log)}</span>
      <a href=${hrefOf({ name: "changes", id })}>${plural(changeCount, "changed file")}</a>
      ${isFinal(state) && changeCount > 0 ? html`<cc-apply .session=${session}></cc-apply>` : nothing}
    </div>
    <p class="doing" role="status">${isFinal(state) ? nothing : oneLine(log.doing)}</p>
    ${
      isLong(task.text)
        ? html`<details>
            <summary>The whole task</summary>
            ${longText(task, onChange)}
          </details>`
        : nothing
    }
    <dl class="facts">
      ${fact("id", html`<code>${id}</code>`)}
      ${fact("repository", spec === undefined ? "" : oneLine(sentText(spec), 400))}
      ${fact("model", model && oneLine(model, 100))} ${fact("permissions", settings && oneLine(settings, 100))}
      ${fact(
        "asked for",
        created === undefined ? "" : html`<time datetime=${created.toISOString()}>${created.toLocaleString()}</time>`,
      )}
      ${fact("by", parent && plainText(parent))} ${fact("caller", caller && plainText(caller))}
    </dl>
  </header>`;
}

function isLong(task: string): boolean {
  return task.length > TITLE_LENGTH || task.trim().includes("\n");
}

/** What the host has counted counts, and not what the container says. */
function cost({ session: { spec, result, live } }: SessionLog): string {
  const used = (result ?? live)?.meteredUsage ?? (result ?? live)?.usage;
  const most = spec?.budget?.maxCostUsd ?? 0;
  return `${dollars(used?.costUsd ?? 0)}${most > 0 ? ` of ${dollars(most)}` : ""}`;
}
