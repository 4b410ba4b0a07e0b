import { randomUUID } from "node:crypto";
import type { CallToolResult, InputRequests } from "@modelcontextprotocol/server";
import { AppError } from "../../proto/index.ts";
import type { TaskFacts, Tasks, TaskStatus } from "../../host/mcp/tasks.ts";

/** What the work of a task has. */
export interface Work {
  /** Aborted once the task is canceled. */
  signal: AbortSignal;
  /** Asks the client, and resolves with what came for each request once all have come. */
  ask(requests: InputRequests): Promise<Record<string, unknown>>;
}

interface Entry {
  facts: TaskFacts;
  status: TaskStatus;
  cancel: AbortController;
  answers: Map<string, PromiseWithResolvers<unknown>>;
}

const working = { status: "working", message: "at work" } as const;

/** Tasks whose work is a function, and that are known as long as this process lives. */
export class MemoryTasks implements Tasks {
  readonly #entries = new Map<string, Entry>();

  /** Begins a task. An error of its work is one of the protocol. */
  start(work: (work: Work) => Promise<CallToolResult>): TaskFacts {
    const nowMs = Date.now();
    const facts = { id: randomUUID(), createdMs: nowMs, updatedMs: nowMs };
    const entry: Entry = { facts, status: working, cancel: new AbortController(), answers: new Map() };
    this.#entries.set(facts.id, entry);
    const { signal } = entry.cancel;
    void work({ signal, ask: (requests) => ask(entry, requests) }).then(
      (result) => become(entry, { status: "completed", result }),
      (error: Error) =>
        become(
          entry,
          signal.aborted
            ? { status: "cancelled", message: "canceled" }
            : { status: "failed", message: error.message, error: { code: -32603, message: error.message } },
        ),
    );
    return facts;
  }

  async get(taskId: string): Promise<TaskFacts & TaskStatus> {
    const { facts, status } = this.#find(taskId);
    return { ...facts, ...status };
  }

  async update(taskId: string, responses: Readonly<Record<string, unknown>>): Promise<void> {
    const entry = this.#find(taskId);
    for (const [key, response] of Object.entries(responses)) {
      const answer = entry.answers.get(key);
      if (answer === undefined || entry.status.status !== "input_required") continue;
      entry.answers.delete(key);
      const { [key]: _answered, ...inputRequests } = entry.status.inputRequests;
      become(entry, entry.answers.size === 0 ? working : { ...entry.status, inputRequests });
      answer.resolve(response);
    }
  }

  async cancel(taskId: string): Promise<void> {
    this.#find(taskId).cancel.abort(new Error("canceled"));
  }

  #find(taskId: string): Entry {
    const entry = this.#entries.get(taskId);
    if (entry === undefined) throw new AppError("SESSION_NOT_FOUND", "There is no such task.");
    return entry;
  }
}

async function ask(entry: Entry, inputRequests: InputRequests): Promise<Record<string, unknown>> {
  const answers = Object.keys(inputRequests).map(async (key) => {
    const answer = Promise.withResolvers<unknown>();
    entry.answers.set(key, answer);
    entry.cancel.signal.addEventListener("abort", () => answer.reject(entry.cancel.signal.reason as Error));
    return [key, await answer.promise] as const;
  });
  become(entry, { status: "input_required", message: "asks", inputRequests });
  return Object.fromEntries(await Promise.all(answers));
}

function become(entry: Entry, status: TaskStatus): void {
  entry.status = status;
  entry.facts.updatedMs = Date.now();
}
