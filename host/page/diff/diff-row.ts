import { html, nothing, type TemplateResult } from "lit";
import { visible } from "../parts/plain-text.ts";
import { type Comment, placeText } from "./comments.ts";
import type { LineTexts } from "./line-text.ts";
import { type Hunk, KIND_WORDS, type PatchedFile } from "./patch.ts";
import { LARGE_LINES, type LineRow, type Row } from "./rows.ts";
import { shownPath } from "./tree.ts";

/** Classes of tokens whose names are also those of other things. */
const CLASSES: Record<string, string> = { comment: "comment-text", number: "number-text", name: "name-text" };
const MARKS: Record<string, string> = { "+": "added", "-": "removed" };
const MODES: Record<string, string> = { "100755": "executable", "120000": "symbolic link", "160000": "submodule" };
const numbers = new Intl.NumberFormat("en");

/** How a row is shown. */
export interface RowState {
  /** Whether it is the one that keys act on. */
  current: boolean;
  /** Whether a comment would be on it. */
  selected: boolean;
  /** Whether the file's lines are shown. */
  open: boolean;
}

/** Renders a row of a diff. */
export function renderRow(row: Row, state: RowState, texts: LineTexts): TemplateResult {
  const id = state.current ? "current" : nothing;
  const classes = `${row.kind === "more" ? "note" : row.kind}${state.current ? " current" : ""}`;
  switch (row.kind) {
    case "file":
      return html`<div role="row" aria-level="1" aria-expanded=${state.open} id=${id} class=${classes}>
        ${fileHeader(row.file, state.open)}
      </div>`;
    case "hunk":
      return html`<div role="row" aria-level="2" id=${id} class=${classes}>
        <span role="gridcell">${hunkText(row.hunk)}</span>
      </div>`;
    case "note":
      return html`<div role="row" aria-level="2" id=${id} class=${classes}>
        <span role="gridcell">${row.text}</span>
      </div>`;
    case "more":
      return html`<div role="row" aria-level="2" id=${id} class=${classes}>
        <span role="gridcell"
          >${numbers.format(row.file.lines.length)} lines, more than ${numbers.format(LARGE_LINES)}.
          <button tabindex="-1">Show them</button></span
        >
      </div>`;
    case "line":
      return renderLine(row, { id, classes, selected: state.selected }, texts);
  }
}

function renderLine(
  row: LineRow,
  { id, classes, selected }: { id: string | typeof nothing; classes: string; selected: boolean },
  texts: LineTexts,
): TemplateResult {
  const { file, at, beside, oldNumber, newNumber } = row;
  const all = `${classes}${selected ? " selected" : ""}`;
  if (beside === undefined) {
    return html`<div role="row" aria-level="2" aria-selected=${selected} id=${id} class="${all} ${sideClass(file, at)}">
      ${numberCell(oldNumber, "old")}${numberCell(newNumber, "new")}${textCells(file, at, texts)}
    </div>`;
  }
  const half = (place: number, number: number, side: string) =>
    html`<span role="none" class="half ${sideClass(file, place)}"
      >${numberCell(number, side)}${textCells(file, place, texts)}</span
    >`;
  return html`<div role="row" aria-level="2" aria-selected=${selected} id=${id} class=${all}>
    ${half(at, oldNumber, "old")}${half(beside, newNumber, "new")}
  </div>`;
}

function numberCell(number: number, side: string): TemplateResult {
  return html`<span role="gridcell" class="number ${side}">${number === 0 ? "" : number}</span>`;
}

function sideClass({ lines }: PatchedFile, at: number): string {
  return MARKS[lines[at]?.charAt(0) ?? ""] ?? "";
}

function textCells(file: PatchedFile, at: number, texts: LineTexts): TemplateResult {
  const mark = file.lines[at]?.charAt(0) ?? "";
  if (mark === "\\")
    return html`<span class="mark"></span><span role="gridcell" class="text quiet">No newline at end</span>`;
  if (mark === "") return html`<span class="mark"></span><span role="gridcell" class="text"></span>`;
  const { segments, cut } = texts.of(file, at);
  return html`<span role="gridcell" class="mark" aria-label=${MARKS[mark] ?? nothing}>${mark}</span
    ><span role="gridcell" class="text"
      >${segments.map(({ text, name, changed }) => {
        const classes = `${CLASSES[name] ?? name}${changed ? " changed" : ""}`;
        return classes === "" ? text : html`<span class=${classes}>${text}</span>`;
      })}${cut === 0 ? nothing : html`<span class="quiet"> … ${numbers.format(cut)} more characters</span>`}</span
    >`;
}

function fileHeader(file: PatchedFile, open: boolean): TemplateResult {
  const facts = [
    KIND_WORDS[file.kind],
    file.previousPath === "" ? "" : `from ${shownPath(file.previousPath)}`,
    MODES[file.newMode || file.oldMode] ?? "",
    file.oldMode !== "" && file.newMode !== "" && file.oldMode !== file.newMode
      ? `mode ${file.oldMode} → ${file.newMode}`
      : "",
  ];
  return html`<span role="gridcell"
      ><span aria-hidden="true">${open ? "▾" : "▸"}</span> <span class="name">${shownPath(file.path)}</span></span
    ><span role="gridcell" class="quiet">${facts.filter((fact) => fact !== "").join(", ")}</span>${renderCounts(file)}`;
}

function renderCounts({ addedLines, deletedLines }: PatchedFile): TemplateResult {
  return html`<span role="gridcell"
    ><span class="good">+${numbers.format(addedLines)}</span>
    <span class="bad">−${numbers.format(deletedLines)}</span></span
  >`;
}

function hunkText(hunk: Hunk): string {
  const heading = visible(hunk.heading.slice(0, 200)).trim();
  return `line ${hunk.newStart}${heading === "" ? "" : `: ${heading}`}`;
}

/** Renders a comment, below the lines that it is on. */
export function renderComment(
  comment: Comment,
  { edit, remove }: { edit: () => void; remove: () => void },
): TemplateResult {
  const place = placeText(comment, shownPath);
  return html`<div role="row" aria-level="2">
    <div role="gridcell" class="comment">
      <p>${visible(comment.text)}</p>
      <button @click=${edit} aria-label="Edit the comment on ${place}">Edit</button>
      <button @click=${remove} aria-label="Remove the comment on ${place}">Remove</button>
    </div>
  </div>`;
}
