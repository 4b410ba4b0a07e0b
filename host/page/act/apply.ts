import { html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { sessionDirectory, isFinal, type Session, TakenChanges_Kind as Taken } from "../../../proto/index.ts";
import {
  type ApplyChangesResponse,
  ApplyChangesRequest_Target as Target,
  type UndoApplyResponse,
} from "../../../proto/control.ts";
import { plural } from "../../present/plural.ts";
import { directoryService } from "../client.ts";
import { commonStyle } from "../parts/common-style.ts";
import { plainText } from "../parts/plain-text.ts";
import { problemOf } from "../parts/problem.ts";
import { applyView } from "./apply-view.ts";
import { modalStyle } from "./modal-style.ts";

/** How far it is. While it looks again, what it has seen before is shown. */
type Stage =
  | { name: "looking"; report: ApplyChangesResponse | undefined }
  | { name: "ready"; report: ApplyChangesResponse }
  | { name: "applying"; report: ApplyChangesResponse }
  | { name: "applied"; report: ApplyChangesResponse }
  | { name: "undoing" }
  | { name: "undone"; report: UndoApplyResponse };

/** Button that applies a session's changes: its dialog shows first what that would do, and takes it back afterwards. */
@customElement("cc-apply")
export class Apply extends LitElement {
  static override styles = [commonStyle, modalStyle];
  /** Whose changes. */
  @property({ attribute: false }) accessor session: Session | undefined;
  /** What the button says. */
  @property() accessor label = "Apply…";
  @state() private accessor stage: Stage = { name: "looking", report: undefined };
  @state() private accessor problem = "";
  @state() private accessor target = Target.BRANCH;
  @state() private accessor commits = false;
  @query("dialog") private accessor dialog!: HTMLDialogElement;
  @query("form") private accessor form!: HTMLFormElement;
  #looking = new AbortController();

  override render(): TemplateResult {
    const { session, stage } = this;
    const changes = session?.result?.changeCount ?? 0;
    const usable = session !== undefined && isFinal(session.state) && changes > 0;
    return html`<button class="main" ?disabled=${!usable} @click=${() => this.#open()}>${this.label}</button>
      <dialog aria-labelledby="title" @close=${() => this.#closed()}>
        <form @submit=${this.#submit}>
          <h2 id="title">Apply ${plural(changes, "changed file")}</h2>
          <label class="field"
            >To the repository in
            <input name="directory" @change=${() => this.#look()} ?disabled=${this.#isBusy()} />
          </label>
          ${this.#taken()} ${this.#body(stage)}
          <p role="alert" class="bad">${this.problem === "" ? nothing : plainText(this.problem)}</p>
          <div class="buttons">
            ${this.#undoable() ? html`<button type="button" @click=${() => this.#undo()}>Undo</button>` : nothing}
            <button type="button" @click=${() => this.dialog.close()}>
              ${stage.name === "applied" || stage.name === "undone" ? "Close" : "Cancel"}
            </button>
            ${
              stage.name === "ready" || stage.name === "applying"
                ? html`<button class="main" ?disabled=${this.#isBlocked(stage)}>Apply</button>`
                : nothing
            }
          </div>
        </form>
      </dialog>`;
  }

  #body(stage: Stage): TemplateResult {
    switch (stage.name) {
      case "looking":
      case "ready":
        return this.#forecast(stage);
      case "applying":
        return html`<p role="status">Applying…</p>`;
      case "applied":
        return html`${appliedText(stage.report)} ${applyView({ ...stage.report, conflicts: [] })}`;
      case "undoing":
        return html`<p role="status">Taking it back…</p>`;
      case "undone":
        return undoneText(stage.report);
    }
  }

  #forecast({ name, report }: Extract<Stage, { name: "looking" | "ready" }>): TemplateResult {
    const isLooking = name === "looking" && this.problem === "";
    return html`<p role="status" class="quiet">${isLooking ? "Looking at what it would do…" : ""}</p>
      ${report === undefined ? nothing : html`${this.#choice(report)} ${applyView(report)}`}`;
  }

  #choice({ conflicts }: ApplyChangesResponse): TemplateResult {
    const radio = (target: Target, text: string) =>
      html`<label
        ><input type="radio" name="target" .checked=${this.target === target} @change=${() => this.#aim(target)} />
        ${text}</label
      >`;
    return html`<fieldset>
      <legend>As</legend>
      ${radio(Target.BRANCH, "a branch of its own, and nothing else is touched")}
      ${radio(Target.WORK_TREE, "changes of your files, with what you have not committed")}
      ${
        this.target === Target.BRANCH
          ? html`<label class="field"
                >Name of the branch <input name="branch" placeholder="made from the task"
              /></label>
              <label
                ><input
                  type="checkbox"
                  name="commits"
                  .checked=${this.commits}
                  @change=${(event: Event) => this.#take((event.target as HTMLInputElement).checked)}
                />
                with the commits that Claude made</label
              >`
          : html`<label><input type="checkbox" name="stage" /> staged</label>`
      }
      ${
        this.target === Target.WORK_TREE && conflicts.length > 0
          ? html`<p class="bad">That does not go together with your files. Take the branch, and merge it.</p>`
          : nothing
      }
    </fieldset>`;
  }

  #taken(): TemplateResult | typeof nothing {
    const { taken } = this.session ?? {};
    if (this.stage.name !== "ready" || taken === undefined || taken.kind === Taken.SAVED) return nothing;
    return html`<p class="good">Applied already: ${plainText(taken.place)}</p>`;
  }

  #isBusy(): boolean {
    return this.stage.name === "applying" || this.stage.name === "undoing";
  }

  /** Nothing is written on a conflict. */
  #isBlocked(stage: Extract<Stage, { name: "ready" | "applying" }>): boolean {
    return stage.name === "applying" || (this.target === Target.WORK_TREE && stage.report.conflicts.length > 0);
  }

  #undoable(): boolean {
    if (this.stage.name === "applied") return !this.stage.report.already;
    const { taken } = this.session ?? {};
    return this.stage.name === "ready" && taken !== undefined && taken.kind !== Taken.SAVED;
  }

  #open(): void {
    this.#field("directory").value = sessionDirectory(this.session ?? {});
    this.target = Target.BRANCH;
    this.commits = false;
    this.stage = { name: "looking", report: undefined };
    this.dialog.showModal();
    void this.#look();
  }

  #closed(): void {
    // It comes with the next frame; until then the dialog may have been opened again.
    if (!this.dialog.open) this.#looking.abort();
  }

  #field(name: string): HTMLInputElement {
    return this.form.elements.namedItem(name) as HTMLInputElement;
  }

  #aim(target: Target): void {
    this.target = target;
    if (target === Target.WORK_TREE && this.commits) this.#take(false);
  }

  #take(commits: boolean): void {
    this.commits = commits;
    void this.#look();
  }

  async #look(): Promise<void> {
    this.#looking.abort();
    this.#looking = new AbortController();
    const { signal } = this.#looking;
    const { commits, stage } = this;
    const place = { sessionId: this.session?.id ?? "", directory: this.#field("directory").value };
    const shown = stage.name === "looking" || stage.name === "ready" ? stage.report : undefined;
    this.stage = { name: "looking", report: shown?.repository === place.directory ? shown : undefined };
    this.problem = "";
    try {
      const report = await directoryService.applyChanges({ ...place, commits, dryRun: true }, { signal });
      if (signal.aborted) return;
      this.#field("directory").value = report.repository;
      this.stage = { name: "ready", report };
    } catch (error) {
      if (!signal.aborted) this.problem = problemOf(error);
    }
  }

  async #submit(event: Event): Promise<void> {
    event.preventDefault();
    const { stage } = this;
    // Enter in a field: what was named anew is looked at first.
    if (stage.name !== "ready" || this.#field("directory").value !== stage.report.repository) return;
    const given = new FormData(this.form);
    const request = {
      sessionId: this.session?.id ?? "",
      directory: stage.report.repository,
      target: this.target,
      branch: String(given.get("branch") ?? ""),
      commits: this.commits,
      stage: given.has("stage"),
    };
    this.stage = { ...stage, name: "applying" };
    this.problem = "";
    try {
      this.stage = { name: "applied", report: await directoryService.applyChanges(request) };
    } catch (error) {
      await this.#look();
      this.problem = problemOf(error);
    }
  }

  async #undo(): Promise<void> {
    this.stage = { name: "undoing" };
    this.problem = "";
    try {
      const report = await directoryService.undoApply({ sessionId: this.session?.id ?? "" });
      this.stage = { name: "undone", report };
    } catch (error) {
      await this.#look();
      this.problem = problemOf(error);
    }
  }
}

function appliedText({
  applied,
  repository,
  branch,
  already,
  staged,
  noteProblem,
}: ApplyChangesResponse): TemplateResult {
  const what =
    applied === Target.BRANCH
      ? html`<p role="status" class="good">
            ${already ? "Was there already" : "Made"}: the branch <strong>${plainText(branch)}</strong>
          </p>
          <p>To take it: <code>git merge ${plainText(branch)}</code></p>`
      : html`<p role="status" class="good">
          Changed${staged ? " and staged" : ""}: the files in ${plainText(repository)}
        </p>`;
  return html`${what}${noteProblem === "" ? nothing : html`<p class="warn">${plainText(noteProblem)}</p>`}`;
}

function undoneText({ branch, repository, fileCount, left, noteProblem }: UndoApplyResponse): TemplateResult {
  const what = branch === "" ? `${plural(fileCount, "file")} as before in ${repository}` : `no branch ${branch}`;
  return html`<p role="status" class="good">Taken back: ${plainText(what)}</p>
    ${left.map(({ name, why }) => {
      const copy = why === "" ? "It was not there before." : `As it was before: ${why}`;
      return html`<p class="warn">${plainText(`${name} was changed since, and is left as it is. ${copy}`)}</p>`;
    })}
    ${noteProblem === "" ? nothing : html`<p class="warn">${plainText(noteProblem)}</p>`}`;
}

declare global {
  interface HTMLElementTagNameMap {
    "cc-apply": Apply;
  }
}
