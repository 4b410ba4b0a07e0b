import type { ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { create } from "@bufbuild/protobuf";
import type { Logger } from "../log.ts";
import { AppError, type EventBody, OutputTruncatedSchema } from "../../proto/index.ts";
import type { Identity } from "../process/identity.ts";
import { cpuTicksOf } from "../process/cpu-time.ts";
import { signalGroup, spawnAs } from "../process/run.ts";
import type { Timeouts } from "../timeouts.ts";
import { within, withPatience } from "../wait.ts";
import type { ClaudeResult, TurnEnd } from "./claude-result.ts";
import type { JsonObject } from "./json.ts";
import { type Line, LineSplitter } from "./line-splitter.ts";
import { type Notice, parseLine, type PermissionRequest, unrecognized } from "./parse.ts";
import { StderrEvents } from "./stderr-events.ts";
import { TurnAnswer } from "./turn-answer.ts";
import { TurnProgress } from "./turn-progress.ts";

/** How the process ended: independent facts. */
export interface ClaudeExit {
  readonly code: number | undefined;
  readonly signal: string;
  /** The last lines that it wrote to its standard error. */
  readonly stderrTail: string;
}

export interface ConversationOptions {
  command: string;
  args: readonly string[];
  environment: Record<string, string>;
  cwd: string;
  /** Undefined: the agent's own. */
  identity: Identity | undefined;
  /** Said before the first message, in the same breath. */
  firstNote?: string | undefined;
  timeouts: Timeouts;
  log: Logger;
  /** Takes what Claude's output says, in order. */
  emit(event: EventBody): void;
  /** Resolves when more may be emitted, with false if there will be no room. Output is not read meanwhile. */
  roomy(): Promise<boolean>;
  /** Called before anything that comes after the result is emitted. */
  onTurnEnd(end: TurnEnd): void;
  /** Claude has ended something: a turn, or what it did by itself between two turns. */
  onResult(result: ClaudeResult): void;
  onRetry(retry: { httpStatus: number }): void;
  /** Claude waits until `permit` or `deny` is called for it. */
  onPermissionRequest(request: PermissionRequest): void;
  /** It does not wait for that any more. */
  onRequestCanceled(requestId: string): void;
}

/** Claude and its tools are the first to go when memory runs out: the agent must outlive them to say so. */
const OOM_SCORE_ADJUST = 900;

/** A running `claude -p` that takes one message after the other. Whoever starts it ends it. */
export class Conversation {
  /** Resolves when the process is gone and all its output has been emitted. Never rejects. */
  readonly exited: Promise<ClaudeExit>;
  readonly #child: ChildProcess;
  readonly #options: ConversationOptions;
  readonly #stderr = new StderrEvents();
  readonly #progress: TurnProgress;
  #answer = new TurnAnswer();
  /** See TurnEnd. */
  #errorKind = "";
  readonly #answers = new Map<string, (error: string | undefined) => void>();
  #exit: ClaudeExit | undefined;
  #note: string | undefined;
  #omittedBytes = 0;
  #waitingForRoom = false;
  #startError: Error | undefined;

  private constructor(child: ChildProcess, options: ConversationOptions) {
    this.#options = options;
    this.#note = options.firstNote;
    this.#progress = new TurnProgress({
      settleMs: options.timeouts.backgroundSettleMs,
      onEnd: (result) => options.onTurnEnd(result),
    });
    this.#child = child;
    // Claude may die before it has read what is sent; its exit says what happened.
    this.#child.stdin?.on("error", () => {});
    this.#child.once("error", (error) => (this.#startError = error));
    this.exited = this.#follow();
  }

  /**
   * Starts Claude and resolves once it answers. Throws CLAUDE_NOT_STARTED or the signal's reason,
   * and leaves nothing running then.
   */
  static async start(options: ConversationOptions & { signal: AbortSignal }): Promise<Conversation> {
    const { command, args, cwd, environment: env, identity } = options;
    // The agent's own umask is stricter than what programs expect of their files.
    const child = spawnAs(command, args, { identity, cwd, env, umask: "022", oomScoreAdjust: OOM_SCORE_ADJUST });
    const conversation = new Conversation(child, options);
    try {
      await conversation.#initialize(options.signal);
      return conversation;
    } catch (error) {
      await conversation.kill();
      throw error;
    }
  }

  /** How it ended; undefined while it has not. */
  get exit(): ClaudeExit | undefined {
    return this.#exit;
  }

  /** A message has been given to Claude and its result has not come. */
  get busy(): boolean {
    return this.#progress.running;
  }

  /** Gives Claude a message, as the text that it is. Only when it is not busy. */
  say(text: string): void {
    this.#progress.begin();
    this.#answer = new TurnAnswer();
    this.#errorKind = "";
    const content = this.#note === undefined ? text : [this.#note, text].map((text) => ({ type: "text", text }));
    this.#note = undefined;
    this.#write({
      type: "user",
      message: { role: "user", content },
      // Nobody typed it: "/clear" is no command, and "@file" reads none. See SDKUserMessage of the Agent SDK.
      client_composed: true,
      parent_tool_use_id: null,
      session_id: "",
    });
  }

  /** Claude may use the tool that it has asked for, with this input. */
  permit(requestId: string, input: JsonObject): void {
    this.#respond(requestId, { behavior: "allow", updatedInput: input });
  }

  /** Claude may not, and is told why. */
  deny(requestId: string, message: string): void {
    this.#respond(requestId, { behavior: "deny", message });
  }

  /** Ends the running turn, also the commands it has left running. A result follows. */
  interrupt(): void {
    if (!this.busy) return;
    void this.#request({ subtype: "interrupt" });
    for (const id of this.#progress.interrupt()) void this.#request({ subtype: "stop_task", task_id: id });
  }

  /**
   * Ends Claude, more firmly with every step: interrupt, end of input, TERM, KILL. Resolves when it
   * is gone. An aborted signal shortens every wait to nothing.
   */
  async end({ signal }: { signal: AbortSignal }): Promise<ClaudeExit> {
    const { interruptMs, exitMs, terminateMs } = this.#options.timeouts;
    if (this.busy) {
      this.interrupt();
      await within(Promise.race([this.#progress.ended(), this.exited]), interruptMs, signal);
    }
    this.#child.stdin?.end();
    if (!(await within(this.exited, exitMs, signal))) {
      signalGroup(this.#child, "SIGTERM");
      await within(this.exited, terminateMs, signal);
    }
    return await this.kill();
  }

  /** Kills Claude and what it left in its process group. */
  async kill(): Promise<ClaudeExit> {
    signalGroup(this.#child, "SIGKILL");
    return await this.exited;
  }

  async #initialize(signal: AbortSignal): Promise<void> {
    const answered = this.#request({ subtype: "initialize" });
    const { claudeReadyMs } = this.#options.timeouts;
    // On a busy machine it starts slowly, but it does start.
    const progress = () => cpuTicksOf(this.#child.pid);
    const ready = await withPatience(Promise.race([answered, this.exited]), { ms: claudeReadyMs, progress, signal });
    signal.throwIfAborted();
    if (this.#exit !== undefined) throw this.#notStarted(this.#exit);
    if (!ready) {
      throw new AppError("CLAUDE_NOT_READY", `Claude did not answer within ${claudeReadyMs / 1000} s of its start.`, {
        retryable: true,
        help: "The machine may be overloaded, or the image holds a Claude Code that this agent does not know.",
      });
    }
    const error = await answered;
    if (error === undefined) return;
    throw new AppError("CLAUDE_NOT_READY", `Claude refused to begin: ${error}.`, { metadata: { error } });
  }

  #notStarted({ code, signal, stderrTail }: ClaudeExit): AppError {
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
    while (!(await within(output, this.#options.timeouts.pipesMs))) {
      if (!this.#waitingForRoom) [stdout, stderr].forEach((pipe) => pipe?.destroy());
    }
    this.#exit = { code: code ?? undefined, signal: signal ?? "", stderrTail: this.#stderr.tail };
    this.#progress.close();
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
        for (const line of splitter.push(chunk)) this.#take(line, room);
      }
    } catch (error) {
      // Destroyed by ourselves, after the exit.
      if (this.#child.exitCode === null && this.#child.signalCode === null) throw error;
    }
    for (const line of splitter.flush()) this.#take(line, true);
    if (this.#omittedBytes > 0) this.#emitTruncated(this.#omittedBytes);
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

  /** Without room the line still counts for the conversation, but is not told. */
  #take({ bytes, droppedBytes }: Line, room: boolean): void {
    const { events, notice } = droppedBytes > 0 ? unrecognized(bytes) : parseLine(bytes);
    if (room) events.forEach(this.#options.emit);
    else this.#omittedBytes += bytes.length;
    if (droppedBytes > 0) this.#emitTruncated(droppedBytes);
    if (notice !== undefined) this.#notice(notice);
  }

  #emitTruncated(bytes: number): void {
    const value = create(OutputTruncatedSchema, { sizeBytes: BigInt(bytes), source: "line" });
    this.#options.emit({ case: "outputTruncated", value });
  }

  #notice(notice: Notice): void {
    switch (notice.kind) {
      case "activity":
        if (notice.step !== undefined) this.#answer.add(notice.step);
        return this.#progress.activity();
      case "goOn":
        return this.#answer.goOn();
      case "refused":
        return this.#answer.takeBack();
      case "error":
        this.#errorKind = notice.error;
        if (notice.refused) this.#answer.takeBack();
        return this.#progress.activity();
      case "result":
        this.#options.onResult(notice.result);
        return this.#progress.result(this.#turnEnd(notice.result));
      case "backgroundTasks":
        return this.#progress.backgroundTasks(notice.ids);
      case "retry":
        return this.#options.onRetry(notice);
      case "controlResponse":
        this.#answers.get(notice.requestId)?.(notice.error);
        this.#answers.delete(notice.requestId);
        return;
      case "permissionRequest":
        return this.#options.onPermissionRequest(notice.request);
      case "requestCanceled":
        return this.#options.onRequestCanceled(notice.requestId);
      case "controlRequest":
        // Nobody here can answer it, and Claude would wait for ever.
        return this.#write({
          type: "control_response",
          response: {
            subtype: "error",
            request_id: notice.requestId,
            error: `${notice.subtype} is not supported here`,
          },
        });
      default:
        notice satisfies never;
    }
  }

  #turnEnd(result: ClaudeResult): TurnEnd {
    const answer = this.#answer.whole(result.isError ? "" : result.text);
    return { ...result, answer, errorKind: result.isError ? this.#errorKind : "" };
  }

  /** Resolves with the answer's error, or undefined if all is well; never if Claude goes before. */
  #request(request: Record<string, string>): Promise<string | undefined> {
    const requestId = randomUUID();
    return new Promise((resolve) => {
      this.#answers.set(requestId, resolve);
      this.#write({ type: "control_request", request_id: requestId, request });
    });
  }

  #respond(requestId: string, response: JsonObject): void {
    this.#write({ type: "control_response", response: { subtype: "success", request_id: requestId, response } });
  }

  #write(message: Record<string, unknown>): void {
    const { stdin } = this.#child;
    if (stdin?.writable === true) stdin.write(`${JSON.stringify(message)}\n`);
  }
}
