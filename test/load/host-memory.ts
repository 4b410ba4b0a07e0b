import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

/** What a process has to be started with for `HostMemory`. */
export const INSPECTED = "--inspect=127.0.0.1:0";
const START_MS = 10_000;

/** What another Node process holds in memory, measured after everything that is unused has been collected. */
export class HostMemory implements Disposable {
  readonly #socket: WebSocket;
  readonly #answers = new Map<number, (message: Answer) => void>();
  #lastId = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const message = JSON.parse(String(data)) as Answer;
      if (message.id !== undefined) this.#answers.get(message.id)?.(message);
    });
  }

  /** Connects to a process that was started with INSPECTED and writes its standard error to a file. */
  static async open(logPath: string): Promise<HostMemory> {
    let address: string | undefined;
    for (const endMs = Date.now() + START_MS; address === undefined && Date.now() < endMs; await delay(50)) {
      address = /Debugger listening on (ws:\S+)/.exec(await readFile(logPath, "utf8"))?.[1];
    }
    if (address === undefined) throw new Error(`${logPath} names no debugger.`);
    const socket = new WebSocket(address);
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve, { once: true });
      socket.addEventListener("error", () => reject(new Error(`${address} does not answer.`)), { once: true });
    });
    return new HostMemory(socket);
  }

  /** Bytes in use: the heap, and what lies outside of it. */
  async usedBytes(): Promise<number> {
    // The second one takes what the first one has finalized.
    for (let time = 0; time < 2; time++) await this.#call("HeapProfiler.collectGarbage");
    const { result } = await this.#call("Runtime.evaluate", {
      expression: "(({ heapUsed, external }) => heapUsed + external)(process.memoryUsage())",
      returnByValue: true,
    });
    const { value } = (result as { result: { value: unknown } }).result;
    if (typeof value !== "number") throw new Error("The host does not say what it uses.");
    return value;
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }

  async #call(method: string, params: object = {}): Promise<Answer> {
    const id = ++this.#lastId;
    const answer = new Promise<Answer>((resolve) => this.#answers.set(id, resolve));
    this.#socket.send(JSON.stringify({ id, method, params }));
    return await answer.finally(() => this.#answers.delete(id));
  }
}

interface Answer {
  id?: number;
  result?: unknown;
}
