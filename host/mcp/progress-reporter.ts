import type { ServerContext } from "@modelcontextprotocol/server";
import { clock } from "../present/status-line.ts";

/** Clients show progress to people: more often than this is noise (ms). */
const INTERVAL_MS = 200;
/** HTTP clients give up after minutes of silence; a line every so often keeps the call alive (ms). */
const KEEP_ALIVE_MS = 15_000;

/**
 * Reporter of progress notifications, if the client has asked for them. While nothing happens it repeats the last one with its
 * age: clients show one line, and the newest replaces what was known.
 */
export class ProgressReporter implements Disposable {
  readonly #context: ServerContext;
  #keepAlive: NodeJS.Timeout | undefined;
  #count = 0;
  #lastMs = 0;
  /** What was said last, and since when that is so. */
  #said = { message: "", sinceMs: 0 };

  private constructor(context: ServerContext) {
    this.#context = context;
  }

  /** Begins to keep a call alive, until it is disposed of. */
  static start(context: ServerContext): ProgressReporter {
    const reporter = new ProgressReporter(context);
    reporter.#keepAlive = setInterval(() => reporter.#repeat(), KEEP_ALIVE_MS);
    return reporter;
  }

  /** Sends a line. It is dropped if it follows another one closely and is not forced; the next repetition has it then. */
  report(message: string, { force }: { force: boolean }): void {
    const nowMs = Date.now();
    this.#said = { message, sinceMs: nowMs };
    if (force || nowMs - this.#lastMs >= INTERVAL_MS) this.#send(message);
  }

  #repeat(): void {
    const { message, sinceMs } = this.#said;
    this.#send(`${message} (${clock((Date.now() - sinceMs) / 1000)} ago)`);
  }

  #send(message: string): void {
    const { mcpReq } = this.#context;
    const progressToken = mcpReq._meta?.progressToken;
    if (progressToken === undefined || mcpReq.signal.aborted) return;
    this.#lastMs = Date.now();
    this.#count += 1;
    const params = { progressToken, progress: this.#count, message };
    // The client may have gone; the session's log has it all.
    mcpReq.notify({ method: "notifications/progress", params }).catch(() => {});
  }

  [Symbol.dispose](): void {
    clearInterval(this.#keepAlive);
  }
}
