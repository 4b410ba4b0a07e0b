import type { ServerContext } from "@modelcontextprotocol/server";

/** Clients show progress to people: more often than this is noise (ms). */
const INTERVAL_MS = 200;
/** HTTP clients give up after minutes of silence; a line every so often keeps the call alive (ms). */
const KEEP_ALIVE_MS = 15_000;

/** Reporter of progress notifications, if the client has asked for them. While nothing happens it sends some too. */
export class ProgressReporter implements Disposable {
  readonly #context: ServerContext;
  #keepAlive: NodeJS.Timeout | undefined;
  /** Text for while nothing happens. Undefined: it says that work goes on. */
  idleText: string | undefined;
  #count = 0;
  #lastMs = 0;

  private constructor(context: ServerContext) {
    this.#context = context;
  }

  /** Begins to keep a call alive, until it is disposed of. */
  static start(context: ServerContext): ProgressReporter {
    const reporter = new ProgressReporter(context);
    const keepAlive = () => reporter.report(reporter.idleText ?? "still working", { force: true });
    reporter.#keepAlive = setInterval(keepAlive, KEEP_ALIVE_MS);
    return reporter;
  }

  /** Sends a line. It is dropped if it follows another one closely and is not forced. */
  report(message: string, { force }: { force: boolean }): void {
    const { mcpReq } = this.#context;
    const progressToken = mcpReq._meta?.progressToken;
    const nowMs = Date.now();
    if (progressToken === undefined || mcpReq.signal.aborted) return;
    if (!force && nowMs - this.#lastMs < INTERVAL_MS) return;
    this.#lastMs = nowMs;
    this.#count += 1;
    const params = { progressToken, progress: this.#count, message };
    // The client may have gone; the session's log has it all.
    mcpReq.notify({ method: "notifications/progress", params }).catch(() => {});
  }

  [Symbol.dispose](): void {
    clearInterval(this.#keepAlive);
  }
}
