import { timestampDate, timestampMs } from "@bufbuild/protobuf/wkt";
import { css, html, type TemplateResult } from "lit";
import { dollars, type Session } from "../../../proto/index.ts";
import { repositoryName } from "../../present/sent-text.ts";
import { stateName } from "../../present/session-summary.ts";
import { age } from "../parts/age.ts";
import { oneLine } from "../parts/plain-text.ts";
import { hrefOf } from "../router/route.ts";
import { doing } from "./doing.ts";
import { type Group, groupOf } from "./groups.ts";

/** Share of the budget from which on its cost stands out. */
const NEARLY_SPENT = 0.8;

const TONES: Record<Group, string> = {
  attention: "warn",
  working: "",
  queued: "quiet",
  unapplied: "good",
  failed: "bad",
  finished: "quiet",
};

/** Style of the rows of sessions, for whoever shows them. */
export const sessionRowStyle = css`
  .session {
    display: grid;
    grid-template: "task state age" 1.5em "doing facts facts" 1.5em / minmax(0, 1fr) auto 4.5em;
    column-gap: 1rem;
    align-content: center;
    block-size: 100%;
    padding: 0.3rem 1rem;
    border-block-end: 1px solid var(--line);
    color: inherit;
    text-decoration: none;
  }
  .session:hover {
    background: var(--raised);
  }
  .session:focus-visible {
    outline-offset: -2px;
  }
  .session > * {
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .task {
    grid-area: task;
    font-weight: 600;
  }
  .state {
    grid-area: state;
    text-align: end;
  }
  .age {
    grid-area: age;
    text-align: end;
  }
  .doing {
    grid-area: doing;
  }
  .facts {
    grid-area: facts;
    display: flex;
    justify-content: end;
    gap: 0.75rem;
    font-variant-numeric: tabular-nums;
  }
  .repository {
    max-inline-size: 16rem;
    overflow: hidden;
    text-overflow: ellipsis;
  }
  @media (max-width: 40rem) {
    .session {
      grid-template: "task age" 1.5em "doing state" 1.5em "facts facts" 1.5em / minmax(0, 1fr) auto;
      padding-inline: 0.75rem;
    }
    .facts {
      justify-content: start;
    }
    .repository {
      max-inline-size: 9rem;
    }
  }
`;

/** Renders a session as a row of the list, which leads to it. */
export function sessionRow(session: Session, { nowMs, current }: { nowMs: number; current: boolean }): TemplateResult {
  const { id, spec, state } = session;
  const tone = TONES[groupOf(session)];
  const since = session.endTime ?? session.createTime;
  return html`<a class="session" href=${hrefOf({ name: "session", id })} tabindex=${current ? 0 : -1}>
    <span class="task">${oneLine(spec?.task ?? "")}</span>
    <span class="state ${tone}">${stateName(state)}</span>
    <span class="age quiet">
      ${since && html`<time datetime=${timestampDate(since).toISOString()}>${age(nowMs - timestampMs(since))}</time>`}
    </span>
    <span class="doing quiet">${oneLine(doing(session))}</span>
    <span class="facts">${lines(session)} ${cost(session)} ${repository(session)}</span>
  </a>`;
}

function lines({ addedLineCount, deletedLineCount, result, live }: Session): TemplateResult | "" {
  const { changeCount = 0 } = result ?? live ?? {};
  if (changeCount === 0) return "";
  return html`<span
    ><span class="good">+${addedLineCount}</span> <span class="bad">−${deletedLineCount}</span
    ><span class="unseen"> lines changed</span></span
  >`;
}

function cost({ spec, result, live }: Session): TemplateResult | "" {
  const { costUsd = 0 } = (result ?? live)?.meteredUsage ?? {};
  const { maxCostUsd = 0 } = spec?.budget ?? {};
  if (costUsd === 0 && maxCostUsd === 0) return "";
  const nearly = maxCostUsd > 0 && costUsd >= NEARLY_SPENT * maxCostUsd;
  return html`<span class=${nearly ? "warn" : ""}
    >${dollars(costUsd)}${maxCostUsd === 0 ? "" : ` of ${dollars(maxCostUsd)}`}</span
  >`;
}

function repository({ spec }: Session): TemplateResult {
  const name = repositoryName(spec?.repository);
  const [last = ""] = /[^/]+\/?$/.exec(name) ?? [name];
  return html`<span class="repository quiet" title=${name}>${oneLine(last.replace(/(?:\.git)?\/?$/, ""))}</span>`;
}
