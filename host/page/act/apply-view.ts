import { html, nothing, type TemplateResult } from "lit";
import { FileChange_Kind as Kind } from "../../../proto/index.ts";
import type { ApplyChangesResponse, ApplyConflict, Remark } from "../../../proto/control.ts";
import { plural } from "../../present/plural.ts";
import { plainText } from "../parts/plain-text.ts";

const KINDS: Partial<Record<Kind, string>> = { [Kind.ADDED]: "new", [Kind.DELETED]: "gone" };

/** Shows what an apply does, or would do. */
export function applyView(report: ApplyChangesResponse): TemplateResult {
  const { files, fileCount, runsCode, conflicts, notes, missing, refsMissing, otherBranches } = report;
  const more = fileCount - files.length;
  return html`
    ${part(
      runsCode,
      html`<h3 class="warn">Runs on your machine, or decides what runs there</h3>`,
      html`<ul>
        ${runsCode.map(remark)}
      </ul>`,
    )}
    ${part(conflicts, html`<h3 class="bad">Conflicts with your files as they are now</h3>`, conflictsView(conflicts))}
    <div class="part">
      <h3>${plural(fileCount, "file")}</h3>
      <ul>
        ${files.map(({ path, kind }) => html`<li>${plainText(path)} <span class="quiet">${KINDS[kind] ?? ""}</span></li>`)}
        ${more > 0 ? html`<li class="quiet">… and ${more} more</li>` : nothing}
      </ul>
    </div>
    ${[...notes, ...missing].map((line) => html`<p class="warn">${plainText(line)}</p>`)}
    ${otherBranches.map(({ ref, branch, commitCount }) => {
      return html`<p>${plainText(ref)}: ${plainText(branch)}, ${plural(commitCount, "commit")}</p>`;
    })}
    ${refsMissing.map(({ name, why }) => html`<p class="warn">Not taken, ${plainText(name)}: ${plainText(why)}</p>`)}
  `;
}

/** Shows conflicts with their places. */
export function conflictsView(conflicts: readonly ApplyConflict[]): TemplateResult {
  return html`<ul>
    ${conflicts.map(
      ({ path, messages, hunks }) =>
        html`<li>
          ${plainText(path)}
          ${hunks.length === 0 ? messages.map((text) => html`<p class="quiet">${plainText(text)}</p>`) : nothing}
          ${hunks.map((hunk) => html`<pre tabindex="0">${plainText(hunk)}</pre>`)}
        </li>`,
    )}
  </ul>`;
}

function part(
  items: readonly unknown[],
  heading: TemplateResult,
  body: TemplateResult,
): TemplateResult | typeof nothing {
  return items.length === 0 ? nothing : html`<div class="part">${heading}${body}</div>`;
}

function remark({ name, why }: Remark): TemplateResult {
  return html`<li>${plainText(name)}: ${plainText(why)}</li>`;
}
