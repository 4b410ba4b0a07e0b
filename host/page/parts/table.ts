import { css, html, type TemplateResult } from "lit";

/** Style of tables whose columns begin at their left. Who shows one says how high it may be. */
export const tableStyle = css`
  .scroll {
    overflow: auto;
  }
  table {
    border-collapse: collapse;
  }
  th,
  td {
    text-align: start;
    font-weight: 400;
    padding: 0.1rem 0.75rem 0.1rem 0;
    vertical-align: top;
  }
  thead th {
    color: var(--quiet);
  }
`;

/** Shows a table that scrolls, also by keys. `label` is what a screen reader calls it. */
export function tableView(label: string, heads: readonly string[], rows: readonly TemplateResult[]): TemplateResult {
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${label}>
    <table>
      <thead>
        <tr>
          ${heads.map((head) => html`<th scope="col">${head}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
}
