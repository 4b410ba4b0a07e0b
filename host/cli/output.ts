import { createWriteStream, fstatSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import type { Output } from "../present/terminal.ts";
import { EXIT } from "./command-io.ts";

/** Standard output or standard error of this process, whose failures count. */
export class StandardStream {
  readonly stream: Output & { destroyed?: boolean };
  #failure: NodeJS.ErrnoException | undefined;

  private constructor(stream: StandardStream["stream"]) {
    this.stream = stream;
  }

  /** Begins to watch over the stream. `onFailure` is called once nothing more can be written. */
  static open(name: "stdout" | "stderr", onFailure = () => {}): StandardStream {
    const { [name]: own } = process;
    // Node's own stream for files takes a write that was cut short for a whole one, and loses the rest on a full disk.
    const stream: StandardStream["stream"] = fstatSync(own.fd).isFile()
      ? createWriteStream("", { fd: own.fd, autoClose: false })
      : own;
    const opened = new StandardStream(stream);
    stream.on("error", (error: NodeJS.ErrnoException) => {
      opened.#failure ??= error;
      onFailure();
    });
    return opened;
  }

  /** Resolves once all that was written has arrived, or with the first error of the stream. */
  async settled(): Promise<NodeJS.ErrnoException | undefined> {
    if (this.stream.destroyed !== true) {
      await new Promise<void>((resolve) => void this.stream.write("", () => resolve()));
      // The error of a write comes after its callback.
      await setImmediate();
    }
    return this.#failure;
  }
}

/**
 * Returns the exit code of a command whose output failed, and says why. Silent, and as if SIGPIPE had ended it, where
 * the reader has gone: it had enough.
 */
export function outputFailed({ code, message }: NodeJS.ErrnoException, stderr: Output): number {
  if (code === "EPIPE") return EXIT.outputClosed;
  stderr.write(`OUTPUT_NOT_WRITTEN: The output could not be written whole (${message}).\n`);
  stderr.write("Make room and ask again: what a session has left is kept.\n");
  return EXIT.environment;
}
