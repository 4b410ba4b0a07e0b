import { html, LitElement } from "lit";
import { customElement } from "lit/decorators.js";

/** The page: what a browser shows of the host. */
@customElement("cc-page")
export class Page extends LitElement {
  override render() {
    return html`<main><h1>ClaudeCluster</h1></main>`;
  }
}
