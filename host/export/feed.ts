import { timestampMs } from "@bufbuild/protobuf/wkt";
import { cutChars, type SessionEvent } from "../../proto/index.ts";
import { progressLine } from "../present/progress-line.ts";
import { html, type Html } from "./html.ts";

/** What is shown of one text (UTF-16 units). */
const TEXT_LENGTH = 20_000;
/** What is shown in all: a browser still reads it at once. */
const MAX_ENTRIES = 5_000;
const MAX_LENGTH = 4_000_000;
/** Above this a text is shown when somebody opens it. */
const OPEN_LENGTH = 600;

/** What happened in a session, from its events, up to some size. */
export class Feed {
  readonly #entries: Html[] = [];
  #length = 0;
  #leftOut = 0;
  #startMs: number | undefined;

  /** Adds an event, if people need to see it. */
  add(event: SessionEvent): void {
    const entry = entryOf(event);
    if (entry === undefined) return;
    if (this.#entries.length >= MAX_ENTRIES || this.#length > MAX_LENGTH) {
      this.#leftOut++;
      return;
    }
    const atMs = event.occurTime === undefined ? undefined : timestampMs(event.occurTime);
    this.#startMs ??= atMs;
    const seconds = ((atMs ?? 0) - (this.#startMs ?? 0)) / 1000;
    const { kind, title, text } = entry;
    this.#length += title.length + text.length;
    this.#entries.push(html`<li class="${kind}"><time>${seconds.toFixed(1)} s</time> ${body(title, text)}</li> `);
  }

  /** Returns what was added, as a list. */
  html(): Html {
    const more = this.#leftOut === 0 ? "" : html`<p class="note">${this.#leftOut} more are not in this file.</p>`;
    return html`<ol class="feed">
        ${this.#entries}
      </ol>
      ${more}`;
  }
}

interface Entry {
  kind: string;
  title: string;
  text: string;
}

function body(title: string, given: string): Html {
  if (given === "") return html`<span>${title}</span>`;
  const text = given.length <= TEXT_LENGTH ? given : `${cutChars(given, TEXT_LENGTH)}\n[cut]`;
  if (text.length <= OPEN_LENGTH)
    return html`<span>${title}</span>
      <pre>${text}</pre>`;
  return html`<details>
    <summary>${title}</summary>
    <pre>${text}</pre>
  </details>`;
}

function entryOf(event: SessionEvent): Entry | undefined {
  const { event: said } = event;
  switch (said.case) {
    case "assistantText":
      return { kind: "claude", title: "Claude", text: said.value.text };
    case "turnStarted":
      return said.value.turn < 2 ? undefined : { kind: "user", title: "Message to Claude", text: said.value.text };
    case "toolUseStarted":
      return {
        kind: "tool",
        title: `Claude uses ${cutChars(said.value.name, 200)}`,
        text: readable(said.value.inputJson),
      };
    case "toolUseFinished":
      return {
        kind: said.value.failed ? "tool failed" : "tool",
        title: said.value.failed ? "It failed" : "It answered",
        text: said.value.output,
      };
    default: {
      const line = progressLine(event);
      return line === undefined || line === "" ? undefined : { kind: "host", title: line, text: "" };
    }
  }
}

/** A tool's input as people read it; as it is where it was cut. */
function readable(json: string): string {
  try {
    const input = JSON.parse(json) as Record<string, unknown>;
    const lines = Object.entries(input).map(([name, value]) => {
      return `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`;
    });
    return lines.join("\n");
  } catch {
    return json;
  }
}
