import { html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, query, state } from "lit/decorators.js";
import { MAX_ATTEMPTS, PERMISSION_MODES } from "../../../proto/index.ts";
import { directoryService } from "../client.ts";
import { commonStyle } from "../parts/common-style.ts";
import { plainText } from "../parts/plain-text.ts";
import { problemOf } from "../parts/problem.ts";
import { hrefOf } from "../router/route.ts";
import { modalStyle } from "./modal-style.ts";
import { toStartRequest } from "./start-request.ts";

const MAX_INT32 = 0x7fffffff;

/** Button that starts sessions: its dialog asks for the task, the place, and the limits. */
@customElement("cc-start")
export class Start extends LitElement {
  static override styles = [commonStyle, modalStyle];
  /** Offered for the place. */
  @state() private accessor directories: readonly string[] = [];
  @state() private accessor isStarting = false;
  @state() private accessor problem = "";
  @query("dialog") private accessor dialog!: HTMLDialogElement;
  @query("form") private accessor form!: HTMLFormElement;

  override render(): TemplateResult {
    return html`<button @click=${() => this.#open()}>New session…</button>
      <dialog aria-labelledby="title">
        <form @submit=${this.#submit} @keydown=${this.#onKey}>
          <h2 id="title">New session</h2>
          <label class="field">Task <textarea name="task" rows="6" required autofocus></textarea></label>
          <label class="field"
            >Directory of this machine, or address to clone
            <input name="place" list="directories" placeholder="none: it starts with nothing" autocomplete="off" />
            <span class="quiet">A directory goes in as it lies there, with what is not committed.</span>
          </label>
          <datalist id="directories">${this.directories.map((path) => html`<option value=${path}></option>`)}</datalist>
          <div class="fields">
            ${textField("model", "Model", "Claude Code's own")}
            ${choice("permissionMode", "Permission mode", PERMISSION_MODES)}
            ${number("attempts", "Attempts", { max: MAX_ATTEMPTS, hint: "1" })}
            ${number("cost", "Most cost (USD)", { step: "any", hint: "as the host allows" })}
            ${number("timeout", "Time (minutes)", { step: "any", hint: "5" })}
          </div>
          <details>
            <summary>More</summary>
            <div class="part">
              <div class="fields">
                ${textField("ref", "Branch, tag or commit of an address", "its HEAD")}
                ${number("history", "Commits of history", { min: -1, hint: "1; -1: all" })}
                ${number("tokens", "Most tokens", { max: Number.MAX_SAFE_INTEGER, hint: "as the host allows" })}
                ${number("requests", "Most model requests", { hint: "as the host allows" })}
                ${number("steps", "Most steps in a turn", { hint: "no limit" })}
                ${number("idleTimeout", "Kept for messages (minutes)", { min: 0, step: "any", hint: "0" })}
                ${number("decisionTimeout", "Waits for decisions (minutes)", { min: 0, step: "any", hint: "10" })}
                ${choice("egress", "Connections", ["none", "listed", "open"])}
                ${textField("allowed", "More destinations", "host or host:port, …")}
                ${textField("image", "Image", "the host's")}
                ${number("memory", "Memory (GiB)", { step: "any", hint: "2" })}
                ${number("cpus", "CPUs", { min: 0.1, step: "any", hint: "2" })}
              </div>
              ${textField("setup", "Setup: prepares the workspace", "npm ci")}
              ${textField("check", "Check: judges the result", "npm test")}
              <label
                ><input type="checkbox" name="loadProjectSettings" /> Load the repository's own settings, hooks and MCP
                servers</label
              >
            </div>
          </details>
          <p role="alert" class="bad">${this.problem === "" ? nothing : plainText(this.problem)}</p>
          <div class="buttons">
            <button type="button" @click=${() => this.dialog.close()}>Cancel</button>
            <button class="main" ?disabled=${this.isStarting}>${this.isStarting ? "Starting…" : "Start"}</button>
          </div>
        </form>
      </dialog>`;
  }

  #open(): void {
    this.problem = "";
    this.dialog.showModal();
    void this.#offer();
  }

  /** Those that are not known can be named all the same. */
  async #offer(): Promise<void> {
    try {
      const { directories } = await directoryService.listDirectories({});
      this.directories = directories.map(({ path }) => path);
    } catch (error) {
      this.problem = problemOf(error);
    }
  }

  /** In the text of the task Enter is a new line. */
  #onKey(event: KeyboardEvent): void {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.form.requestSubmit();
  }

  async #submit(event: Event): Promise<void> {
    event.preventDefault();
    if (this.isStarting) return;
    this.isStarting = true;
    this.problem = "";
    try {
      const { sessions } = await directoryService.startSessions(toStartRequest(new FormData(this.form)));
      this.form.reset();
      this.dialog.close();
      const ids = sessions.map(({ id }) => id);
      location.hash = hrefOf(ids.length === 1 ? { name: "session", id: ids[0]! } : { name: "compare", ids });
    } catch (error) {
      this.problem = problemOf(error);
    } finally {
      this.isStarting = false;
    }
  }
}

function textField(name: string, label: string, hint: string): TemplateResult {
  return html`<label class="field">${label} <input name=${name} placeholder=${hint} autocomplete="off" /></label>`;
}

function number(
  name: string,
  label: string,
  { min, max = MAX_INT32, step = "1", hint }: { min?: number; max?: number; step?: string; hint: string },
): TemplateResult {
  const least = min ?? (step === "any" ? 0.01 : 1);
  return html`<label class="field"
    >${label} <input type="number" name=${name} min=${least} max=${max} step=${step} placeholder=${hint}
  /></label>`;
}

function choice(name: string, label: string, values: readonly string[]): TemplateResult {
  return html`<label class="field"
    >${label}
    <select name=${name}>
      <option value="">default</option>
      ${values.map((value) => html`<option>${value}</option>`)}
    </select></label
  >`;
}

declare global {
  interface HTMLElementTagNameMap {
    "cc-start": Start;
  }
}
