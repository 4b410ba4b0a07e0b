import { chmod, mkdtemp, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Claim, Conversation, type ConversationListener, type ConversationOptions } from "./conversation.ts";

/**
 * Versions of Claude Code that can be started where there is nothing, and told later where their work is:
 * test/e2e/early-claude.test.ts compares what the model is told.
 */
export const CLAIMABLE_VERSIONS: readonly string[] = ["2.1.332"];

/** Listener where there is no session yet: a Claude that waits has nothing to say. */
export const NOBODY: ConversationListener = {
  emit: () => {},
  roomy: () => Promise.resolve(true),
  onTurnEnd: () => {},
  onResult: () => {},
  onRetry: () => {},
  onPermissionRequest: () => {},
  onRequestCanceled: () => {},
};

/** How a Claude that waits is started. */
export type SpareOptions = Omit<ConversationOptions, "cwd" | "firstNote" | keyof ConversationListener> & {
  /** Who is told what it says. */
  listener: ConversationListener;
  signal: AbortSignal;
};

/**
 * Claude that waits, in an empty directory, to be told where its work is. Whoever has it disposes of it: until it is claimed that
 * ends it.
 */
export class Spare implements AsyncDisposable {
  readonly #conversation: Conversation;
  readonly #directory: string;
  readonly #heard: { listener: ConversationListener };
  #directoryGone: Promise<void> | undefined;
  #claimed = false;

  private constructor(conversation: Conversation, directory: string, heard: { listener: ConversationListener }) {
    this.#conversation = conversation;
    this.#directory = directory;
    this.#heard = heard;
  }

  /** Starts one and resolves once it answers. Throws as Conversation.start does; then nothing is left of it. */
  static async start({ listener, ...options }: SpareOptions): Promise<Spare> {
    const heard = { listener };
    // Claude's user can write nothing there, so that it stays empty.
    const cwd = await mkdtemp(join(tmpdir(), "claude-waits-"));
    try {
      await chmod(cwd, 0o555);
      const conversation = await Conversation.start({
        ...options,
        cwd,
        emit: (event) => heard.listener.emit(event),
        roomy: () => heard.listener.roomy(),
        onTurnEnd: (end) => heard.listener.onTurnEnd(end),
        onResult: (result) => heard.listener.onResult(result),
        onRetry: (retry) => heard.listener.onRetry(retry),
        onPermissionRequest: (request) => heard.listener.onPermissionRequest(request),
        onRequestCanceled: (requestId) => heard.listener.onRequestCanceled(requestId),
      });
      return new Spare(conversation, cwd, heard);
    } catch (error) {
      await remove(cwd);
      throw error;
    }
  }

  /** Whether it still runs. */
  get runs(): boolean {
    return this.#conversation.exit === undefined;
  }

  /** Lets somebody else hear what it says. */
  tell(listener: ConversationListener): void {
    this.#heard.listener = listener;
  }

  /** Tells it where its work is. Returns it at work, or why it is of no use. Rejects with the signal's reason. */
  async claim(options: Claim & { signal: AbortSignal }): Promise<Conversation | { refusal: string }> {
    const refusal = await this.#conversation.claim(options);
    if (refusal !== undefined) return { refusal };
    this.#claimed = true;
    this.#directoryGone = remove(this.#directory);
    return this.#conversation;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#claimed) await this.#conversation.kill();
    await (this.#directoryGone ??= remove(this.#directory));
  }
}

/** One that stays is empty, and in nobody's way. */
async function remove(directory: string): Promise<void> {
  await rmdir(directory).catch(() => {});
}
