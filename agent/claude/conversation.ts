import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { AppError, OutputTruncatedSchema } from "../../proto/index.ts";
import { cpuTicksOf } from "../process/cpu-time.ts";
import type { Timeouts } from "../timeouts.ts";
import { within, withPatience } from "../wait.ts";
import { type ClaudeExit, ClaudeProcess, type ClaudeProcessOptions } from "./claude-process.ts";
import type { ClaudeResult, TurnEnd } from "./claude-result.ts";
import type { JsonObject } from "./json.ts";
import type { Line } from "./line-splitter.ts";
import { type Notice, parseLine, type PermissionRequest, unrecognized } from "./parse.ts";
import { TurnAnswer } from "./turn-answer.ts";
import { TurnProgress } from "./turn-progress.ts";

/** What takes what is said in a conversation. */
export interface ConversationListener extends Pick<ClaudeProcessOptions, "emit" | "roomy"> {
  /** Called at the end of a turn, before anything that follows it is emitted. */
  onTurnEnd(end: TurnEnd): void;
  /** Called for each result, also for what Claude did by itself between two turns. */
  onResult(result: ClaudeResult): void;
  /** Called when Claude Code repeats a request to the model that failed. */
  onRetry(retry: { httpStatus: number }): void;
  /** Called when Claude asks for a permission or an answer. It waits until `permit` or `deny` is called. */
  onPermissionRequest(request: PermissionRequest): void;
  /** Called when Claude does not wait for a decision any more. */
  onRequestCanceled(requestId: string): void;
}

/** Process of a conversation, and what takes what is said in it. */
export interface ConversationOptions
  extends Omit<ClaudeProcessOptions, "pipesMs" | "onLine" | "onOutputEnd">, ConversationListener {
  /** Text that goes with the first message, before it. Default: none. */
  firstNote?: string | undefined;
  /** Commands that a message may begin with, such as "review" for "/review". Default: none. */
  commands?: ReadonlySet<string> | undefined;
  /** Waits for the start and the end of Claude and of its turns. */
  timeouts: Timeouts;
}

/** What a Claude is told that has been started before its work was known. */
export interface Claim {
  /** Directory in which it works from now on, as if it had been started there. */
  cwd: string;
  /** Permission mode. Undefined: the one it was started with. */
  permissionMode?: string | undefined;
  /** Model. Undefined: the one it was started with. */
  model?: string | undefined;
  /** Variables above all settings, in place of all that were there. Undefined: those it was started with. */
  environment?: Record<string, string> | undefined;
  /** Text that goes with the first message, before it. Undefined: none. */
  firstNote?: string | undefined;
}

/** Conversation with a running `claude -p`, which takes one message after the other. Whoever starts it ends it. */
export class Conversation {
  /** Resolves when the process is gone and all its output has been emitted. Never rejects. */
  readonly exited: Promise<ClaudeExit>;
  readonly #process: ClaudeProcess;
  readonly #options: ConversationOptions;
  readonly #progress: TurnProgress;
  #answer = new TurnAnswer();
  /** See TurnEnd. */
  #errorKind = "";
  readonly #answers = new Map<string, (error: string | undefined) => void>();
  #note: string | undefined;
  #omittedBytes = 0;

  private constructor(options: ConversationOptions) {
    this.#options = options;
    this.#note = options.firstNote;
    this.#progress = new TurnProgress({
      settleMs: options.timeouts.backgroundSettleMs,
      onEnd: (result) => options.onTurnEnd(result),
    });
    this.#process = ClaudeProcess.start({
      ...options,
      pipesMs: options.timeouts.pipesMs,
      onLine: (line, room) => this.#take(line, room),
      onOutputEnd: () => {
        if (this.#omittedBytes > 0) this.#emitTruncated(this.#omittedBytes);
      },
    });
    this.exited = this.#process.exited.finally(() => this.#progress.close());
  }

  /**
   * Starts Claude and resolves once it answers. Throws CLAUDE_NOT_STARTED, CLAUDE_NOT_READY or the signal's reason; then
   * nothing is left running.
   */
  static async start(options: ConversationOptions & { signal: AbortSignal }): Promise<Conversation> {
    const conversation = new Conversation(options);
    try {
      await conversation.#initialize(options.signal);
      return conversation;
    } catch (error) {
      await conversation.kill();
      throw error;
    }
  }

  /** Exit of the process. Undefined while it runs. */
  get exit(): ClaudeExit | undefined {
    return this.#process.exit;
  }

  /** Whether a message has been given to Claude whose turn has not ended. */
  get busy(): boolean {
    return this.#progress.running;
  }

  /**
   * Tells a Claude that waits for it where it works, before the first message. Returns why it does not; then it is of no use.
   * Undefined: it does. Rejects with the signal's reason.
   */
  async claim({ signal, ...claim }: Claim & { signal: AbortSignal }): Promise<string | undefined> {
    const { cwd, permissionMode, model, environment: env, firstNote } = claim;
    this.#note = firstNote;
    const mode = permissionMode !== undefined && { permission_mode: permissionMode };
    // Claude Code takes them in this order, and no model before its place.
    const answers = [this.#request({ subtype: "claim_session", cwd, ...mode })];
    if (env !== undefined) answers.push(this.#request({ subtype: "apply_flag_settings", settings: { env } }));
    if (model !== undefined) answers.push(this.#request({ subtype: "set_model", model }));
    const answered = Promise.all(answers);
    const { claudeClaimMs } = this.#options.timeouts;
    const came = await this.#patient(answered, { ms: claudeClaimMs, signal });
    if (this.exit !== undefined) return "it has ended";
    if (!came) return `it did not answer within ${claudeClaimMs / 1000} s`;
    return (await answered).find((error) => error !== undefined);
  }

  /**
   * Gives Claude a message. Commands and file mentions in it stay text, but for a command that the user has given the session.
   * Must not be called while busy.
   */
  say(text: string): void {
    this.#progress.begin();
    this.#answer = new TurnAnswer();
    this.#errorKind = "";
    const command = /^\/([^\s]+)/.exec(text)?.[1] ?? "";
    const content = this.#note === undefined ? text : [this.#note, text].map((text) => ({ type: "text", text }));
    this.#note = undefined;
    this.#process.write({
      type: "user",
      message: { role: "user", content },
      // Nobody typed it: "/clear" is no command, and "@file" reads none. See SDKUserMessage of the Agent SDK.
      client_composed: this.#options.commands?.has(command) !== true,
      parent_tool_use_id: null,
      session_id: "",
    });
  }

  /** Lets Claude use the tool that it asked for, with this input, and changes what it has to ask for. */
  permit(requestId: string, input: JsonObject, updates: readonly JsonObject[] = []): void {
    const more = updates.length > 0 && { updatedPermissions: updates };
    this.#respond(requestId, { behavior: "allow", updatedInput: input, ...more });
  }

  /** Refuses Claude the tool that it asked for, and tells it why. */
  deny(requestId: string, message: string): void {
    this.#respond(requestId, { behavior: "deny", message });
  }

  /**
   * Ends the running turn and the background commands that it left. Its result follows. Without a turn it does nothing.
   */
  interrupt(): void {
    if (!this.busy) return;
    void this.#request({ subtype: "interrupt" });
    for (const id of this.#progress.interrupt()) void this.#request({ subtype: "stop_task", task_id: id });
  }

  /**
   * Ends Claude in steps, each if the one before was not enough: interrupt, end of input, TERM, KILL. An aborted signal
   * shortens every wait to nothing. Resolves when Claude is gone.
   */
  async end({ signal }: { signal: AbortSignal }): Promise<ClaudeExit> {
    const { interruptMs, exitMs, terminateMs } = this.#options.timeouts;
    if (this.busy) {
      this.interrupt();
      await within(Promise.race([this.#progress.ended(), this.exited]), interruptMs, signal);
    }
    this.#process.endInput();
    if (!(await within(this.exited, exitMs, signal))) {
      this.#process.terminate();
      await within(this.exited, terminateMs, signal);
    }
    return await this.kill();
  }

  /** Kills Claude and what it left in its process group. Resolves when it is gone. */
  async kill(): Promise<ClaudeExit> {
    await this.#process.kill();
    return await this.exited;
  }

  async #initialize(signal: AbortSignal): Promise<void> {
    const answered = this.#request({ subtype: "initialize" });
    const { claudeReadyMs } = this.#options.timeouts;
    const ready = await this.#patient(answered, { ms: claudeReadyMs, signal });
    if (this.exit !== undefined) throw this.#process.notStarted(this.exit);
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

  /** Resolves with whether something came, or Claude went, while it could still come. Rejects with the signal's reason. */
  async #patient(promise: Promise<unknown>, { ms, signal }: { ms: number; signal: AbortSignal }): Promise<boolean> {
    // On a busy machine it is slow, but it gets on.
    const progress = () => cpuTicksOf(this.#process.pid);
    const came = await withPatience(Promise.race([promise, this.exited]), { ms, progress, signal });
    signal.throwIfAborted();
    return came;
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
        return this.#process.write({
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
  #request(request: Record<string, unknown>): Promise<string | undefined> {
    const requestId = randomUUID();
    return new Promise((resolve) => {
      this.#answers.set(requestId, resolve);
      this.#process.write({ type: "control_request", request_id: requestId, request });
    });
  }

  #respond(requestId: string, response: JsonObject): void {
    this.#process.write({
      type: "control_response",
      response: { subtype: "success", request_id: requestId, response },
    });
  }
}
