import { css, html, LitElement, type TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import type { Session } from "../../../proto/index.ts";
import { commonStyle } from "../parts/common-style.ts";
import { oneLine } from "../parts/plain-text.ts";
import "../parts/virtual-list.ts";
import { hrefOf } from "../router/route.ts";
import type { SessionFeed } from "./session-feed.ts";

/** All sessions of the host. */
@customElement("cc-sessions")
export class Sessions extends LitElement {
  static override styles = [
    commonStyle,
    css`
      :host,
      cc-virtual-list {
        block-size: 100%;
      }
    `,
  ];
  /** What they are taken from. */
  @property({ attribute: false }) accessor feed!: SessionFeed;
  /** Version of the feed that is shown. */
  @property({ type: Number }) accessor version = 0;

  override render(): TemplateResult {
    const items = [...this.feed.sessions.values()].reverse();
    return html`<h1 class="unseen">Sessions</h1>
      <cc-virtual-list
        role="list"
        .items=${items}
        .keyOf=${({ id }: Session) => id}
        .heightOf=${() => 36}
        .renderRow=${({ id, spec }: Session) =>
          html`<a href=${hrefOf({ name: "session", id })}>${oneLine(spec?.task ?? "")}</a>`}
      ></cc-virtual-list>`;
  }
}
