import type { Readable, Writable } from "node:stream";
import { StdioServerTransport } from "@modelcontextprotocol/server/stdio";

/** Listeners of a pipe: `onAnswer` is called once the client has its first message, `onClose` when it has gone or was closed. */
interface PipeListeners {
  onAnswer(): void;
  onClose(): void;
}

/** Client's end of standard input and output. */
export class ClientPipe extends StdioServerTransport {
  readonly #listeners: PipeListeners;
  #answered = false;

  constructor(
    { stdin, stdout }: { stdin: NodeJS.ReadableStream; stdout: NodeJS.WritableStream },
    listeners: PipeListeners,
  ) {
    super(stdin as Readable, stdout as Writable);
    this.#listeners = listeners;
  }

  override async send(...given: Parameters<StdioServerTransport["send"]>): Promise<void> {
    await super.send(...given);
    if (this.#answered) return;
    this.#answered = true;
    this.#listeners.onAnswer();
  }

  // Not `onclose`, which the SDK sets; and not that of a server: the SDK closes one, and makes another, when a client
  // falls back to the older protocol.
  override async close(): Promise<void> {
    await super.close();
    this.#listeners.onClose();
  }
}
