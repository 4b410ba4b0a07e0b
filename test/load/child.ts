import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** A process of a load run. Disposing of it ends it. */
export class Child<Order, Note> implements AsyncDisposable {
  readonly #process: ChildProcess;

  constructor(file: string, args: string[] = []) {
    this.#process = fork(fileURLToPath(new URL(file, import.meta.url)), args, {
      // What the host is started with is not for them.
      execArgv: process.execArgv.filter((argument) => !/^--(?:max-semi|initial-old)-space-size=/.test(argument)),
      serialization: "advanced",
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
  }

  get pid(): number {
    return this.#process.pid!;
  }

  send(order: Order): void {
    this.#process.send(order as never);
  }

  /** The next thing that it says. Rejects when it ends instead. */
  async note(): Promise<Note> {
    const ended = once(this.#process, "exit").then(([code]) => {
      throw new Error(`A process of the load run ended with ${String(code)}.`);
    });
    ended.catch(() => {});
    const [note] = (await Promise.race([once(this.#process, "message"), ended])) as [Note];
    return note;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const ended = once(this.#process, "exit");
    this.#process.disconnect();
    await ended;
  }
}
