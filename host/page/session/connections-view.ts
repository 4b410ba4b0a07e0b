import { html, nothing, type TemplateResult } from "lit";
import { plural } from "../../present/plural.ts";
import { oneLine } from "../parts/plain-text.ts";
import { tableView } from "../parts/table.ts";
import type { Connections, Destination } from "./connections.ts";

/** Shows where the container connected to, and where it was not let. */
export function connectionsView(connections: Connections): TemplateResult {
  const { allowedCount, refusedCount, otherCount } = connections;
  const row = ({ destination, allowed, reason, count }: Destination) =>
    html`<tr>
      <th scope="row"><code>${oneLine(destination, 200)}</code></th>
      <td class=${allowed ? "good" : "bad"}>${allowed ? "allowed" : "refused"}</td>
      <td>${count}</td>
      <td>${oneLine(reason, 200)}</td>
    </tr>`;
  return html`<section aria-labelledby="connections-title">
    <h2 id="connections-title">Connections</h2>
    ${
      allowedCount + refusedCount === 0
        ? html`<p class="quiet">None yet.</p>`
        : html`<p>${allowedCount} allowed, ${refusedCount} refused</p>
            ${tableView("Connections, by where to", ["To", "Was", "Times", "Why"], connections.list().map(row))}`
    }
    ${otherCount === 0 ? nothing : html`<p class="quiet">And ${plural(otherCount, "connection")} to other places.</p>`}
  </section>`;
}
