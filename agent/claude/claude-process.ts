import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { create } from "@bufbuild/protobuf";
import type { Logger } from "../log.ts";
import { AppError, type EventBody, StderrOutputSchema } from "../../proto/index.ts";
import type { Identity } from "../process/identity.ts";
import { AS_SESSION, signalGroup, spawnAs } from "../process/run.ts";
import { within } from "../wait.ts";
import { OutputEvents } from "../process/output-events.ts";
import { type Line, LineSplitter } from "./line-splitter.ts";

/** Exit of Claude's process. */
export interface ClaudeExit {
  /** Exit code. Undefined: a signal ended it, or it never started. */
  readonly code: number | undefined;
  /** Signal that ended it. Empty: none did. */
  readonly signal: string;
  /** Last two KiB of its error output. */
  readonly stderrTail: string;
}

/** Command to start as Claude, and what takes its output. */
export interface ClaudeProcessOptions {
  command: string;
  args: readonly string[];
  /** Environment variables, all of them: nothing is inherited. */
  environment: Record<string, string>;
  cwd: string;
  /** User to run as. Undefined: the agent's own. */
  identity: Identity | undefined;
  /** Time for reading the pipes to their end once the process is gone (ms). */
  pipesMs: number;
  log: Logger;
  /** Takes the events of the error output. */
  emit(event: EventBody): void;
  /** Resolves when more may be emitted, or with false if there will be no room. Output is not read meanwhile. */
  roomy(): Promise<boolean>;
  /** Takes each line of the output, and whether there is room for what it says. */
  onLine(line: Line, room: boolean): void;
  /** Called once, after the last line. */
  onOutputEnd(): void;
}

/** Process of Claude Code: it takes JSON lines and writes JSON lines. Whoever starts it ends it. */
export class ClaudeProcess {
  /** Resolves when the process is gone and all its output has been taken. Never rejects. */
  readonly exited: Promise<ClaudeExit>;
  readonly #child: ChildProcess;
  readonly #options: ClaudeProcessOptions;
  readonly #stderr = new OutputEvents({
    name: "stderr",
    toEvent: (data) => ({ case: "stderrOutput", value: create(StderrOutputSchema, { data }) }),
  });
  #exit: ClaudeExit | undefined;
  #waitingForRoom = false;
  #startError: Error | undefined;

  private constructor(child: ChildProcess, options: ClaudeProcessOptions) {
    this.#options = options;
    this.#child = child;
    // Claude may die before it has read what is sent; its exit says what happened.
    this.#child.stdin?.on("error", () => {});
    this.#child.once("error", (error) => (this.#startError = error));
    this.exited = this.#follow();
  }

  /** Starts the process. If that fails, it exits at once. */
  static start(options: ClaudeProcessOptions): ClaudeProcess {
    const { command, args, cwd, environment: env, identity } = options;
    const child = spawnAs(command, args, { identity, cwd, env, ...AS_SESSION });
    return new ClaudeProcess(child, options);
  }

  /** Exit of the process. Undefined while it runs. */
  get exit(): ClaudeExit | undefined {
    return this.#exit;
  }

  /** Process id. Undefined: it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Writes a message as one line of JSON. Does nothing once the input has ended. */
  write(message: Record<string, unknown>): void {
    const { stdin } = this.#child;
    if (stdin?.writable === true) stdin.write(`${JSON.stringify(message)}\n`);
  }

  /** Ends the input: Claude exits when it has done what it was asked. */
  endInput(): void {
    this.#child.stdin?.end();
  }

  /** Sends TERM to Claude's process group. */
  terminate(): void {
    signalGroup(this.#child, "SIGTERM");
  }

  /** Kills Claude and what it left in its process group. Resolves when it is gone. */
  async kill(): Promise<ClaudeExit> {
    signalGroup(this.#child, "SIGKILL");
    return await this.exited;
  }

  /** Returns the error for a process that exited before it answered. */
  notStarted({ code, signal, stderrTail }: ClaudeExit): AppError {
    const how = this.#startError?.message ?? (signal === "" ? `exit code ${code}` : signal);
    const said = stderrTail === "" ? "It wrote nothing." : `It wrote: ${stderrTail}`;
    return new AppError("CLAUDE_NOT_STARTED", `Claude ended before it was ready (${how}). ${said}`, {
      cause: this.#startError,
      metadata: { exit_code: String(code ?? ""), signal, stderr: stderrTail },
    });
  }

  async #follow(): Promise<ClaudeExit> {
    const { stdout, stderr } = this.#child;
    const output = Promise.all([
      stdout === null ? undefined : this.#readOutput(stdout),
      stderr === null ? undefined : this.#readErrors(stderr),
    ]).catch((error: unknown) => this.#options.log.error({ err: error }, "reading Claude's output failed"));
    const [code, signal] = await this.#ended();
    // What a left-over process still holds open says nothing more about Claude; what is only not read yet does.
    while (!(await within(output, this.#options.pipesMs))) {
      if (!this.#waitingForRoom) [stdout, stderr].forEach((pipe) => pipe?.destroy());
    }
    this.#exit = { code: code ?? undefined, signal: signal ?? "", stderrTail: this.#stderr.tail };
    return this.#exit;
  }

  async #ended(): Promise<[number | null, NodeJS.Signals | null]> {
    const child = this.#child;
    if (child.pid === undefined) {
      // Spawning failed; "error" comes instead of "exit".
      if (this.#startError === undefined) await once(child, "error").catch(() => {});
      return [null, null];
    }
    return (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  }

  async #readOutput(stdout: AsyncIterable<Buffer>): Promise<void> {
    const splitter = new LineSplitter();
    try {
      for await (const chunk of stdout) {
        this.#waitingForRoom = true;
        const room = await this.#options.roomy();
        this.#waitingForRoom = false;
        for (const line of splitter.push(chunk)) this.#options.onLine(line, room);
      }
    } catch (error) {
      // Destroyed by ourselves, after the exit.
      if (this.#child.exitCode === null && this.#child.signalCode === null) throw error;
    }
    for (const line of splitter.flush()) this.#options.onLine(line, true);
    this.#options.onOutputEnd();
  }

  async #readErrors(stderr: AsyncIterable<Buffer>): Promise<void> {
    const { emit } = this.#options;
    try {
      for await (const chunk of stderr) this.#stderr.push(chunk).forEach(emit);
    } catch (error) {
      if (this.#child.exitCode === null && this.#child.signalCode === null) throw error;
    }
    this.#stderr.flush().forEach(emit);
  }
}
