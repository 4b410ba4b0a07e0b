import type { Readable, Writable } from "node:stream";
import { StdioServerTransport } from "@modelcontextprotocol/server/stdio";

/** Client's end of standard input and output. `onClose` is called once it has gone, or was closed. */
export class ClientPipe extends StdioServerTransport {
  readonly #onClose: () => void;

  constructor({ stdin, stdout }: { stdin: NodeJS.ReadableStream; stdout: NodeJS.WritableStream }, onClose: () => void) {
    super(stdin as Readable, stdout as Writable);
    this.#onClose = onClose;
  }

  // Not `onclose`, which the SDK sets; and not that of a server: the SDK closes one, and makes another, when a client
  // falls back to the older protocol.
  override async close(): Promise<void> {
    await super.close();
    this.#onClose();
  }
}
