import { inputRequired } from "@modelcontextprotocol/server";
import { AppError, type Session } from "../../proto/index.ts";
import type { ClientAbilities } from "./client-abilities.ts";
import { decisionForm, formKey } from "./decision-form.ts";
import { taskFacts, taskLine } from "./task-facts.ts";
import type { TaskFacts, Tasks, TaskStatus } from "./tasks.ts";
import { readWaitId, type Wait } from "./wait.ts";
import { CALL_CANCELED, type Waits } from "./waits.ts";

/** Waits as tasks. A task is its wait, whose id says all of it: it lives as long as its sessions, and any server knows it. */
export class SessionTasks implements Tasks {
  readonly #waits: Waits;

  constructor(waits: Waits) {
    this.#waits = waits;
  }

  /** Returns how the wait stands. */
  async get(taskId: string, abilities: ClientAbilities): Promise<TaskFacts & TaskStatus> {
    const wait = readTask(taskId);
    const { sessions, over, asked } = await this.#waits.look(wait, abilities);
    const facts = taskFacts(wait, sessions);
    const message = taskLine(this.#waits.presence, sessions);
    if (asked.length > 0) {
      const forms = asked.map(({ session, decision }) => {
        const form = inputRequired.elicit(decisionForm(session, decision));
        return [formKey(session.id, decision.request.requestId), form] as const;
      });
      return { ...facts, status: "input_required", message, inputRequests: Object.fromEntries(forms) };
    }
    if (!over) return { ...facts, status: "working", message };
    if (sessions.every(isCanceledByCall)) return { ...facts, status: "cancelled", message: CALL_CANCELED };
    return { ...facts, status: "completed", result: await this.#waits.result(wait) };
  }

  /** Takes what was put into forms. */
  async update(taskId: string, responses: Readonly<Record<string, unknown>>, abilities: ClientAbilities) {
    const wait = readTask(taskId);
    await this.#waits.look(wait, abilities);
    await this.#waits.take(wait, responses);
  }

  /** Ends the sessions of a spawn, with their changes; what only waits for sessions leaves them. */
  async cancel(taskId: string): Promise<void> {
    const wait = readTask(taskId);
    const { over } = await this.#waits.look(wait, { forms: true });
    if (!over && wait.kind === "spawn") await this.#waits.cancel(wait);
  }
}

function readTask(taskId: string): Wait {
  const wait = readWaitId(taskId);
  if (wait === undefined) throw new AppError("SESSION_NOT_FOUND", "There is no such task.");
  return wait;
}

function isCanceledByCall({ result: ended }: Session): boolean {
  return ended?.outcome.case === "cancellation" && ended.outcome.value.reason === CALL_CANCELED;
}
