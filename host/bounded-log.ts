import { closeSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";
import { onStateFile } from "./state-directory.ts";

/** Two files of this size are more than anybody reads (bytes). */
const MAX_BYTES = 4 * 1024 * 1024;

/**
 * Log file in the state directory, bounded in size. A full file is renamed with ".1" behind its name and replaces the
 * one before.
 */
export class BoundedLog {
  readonly #path: string;
  readonly #maxBytes: number;
  #descriptor: number;
  #size: number;

  private constructor(
    path: string,
    { descriptor, size, maxBytes }: Record<"descriptor" | "size" | "maxBytes", number>,
  ) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#descriptor = descriptor;
    this.#size = size;
  }

  /** Opens the log, and makes it where there is none. Default of `maxBytes`: 4 MiB. Throws what keeps it from being written. */
  static open(path: string, { maxBytes = MAX_BYTES } = {}): BoundedLog {
    const descriptor = onStateFile(path, () => openSync(path, "a", 0o600));
    return new BoundedLog(path, { descriptor, size: fstatSync(descriptor).size, maxBytes });
  }

  /** Writes at once. A full disk loses the line and nothing else. */
  write(line: string): void {
    try {
      this.#size += writeSync(this.#descriptor, line);
      if (this.#size > this.#maxBytes) this.#rotate();
    } catch {
      // There is nowhere left to say so.
    }
  }

  #rotate(): void {
    renameSync(this.#path, `${this.#path}.1`);
    const descriptor = openSync(this.#path, "a", 0o600);
    closeSync(this.#descriptor);
    this.#descriptor = descriptor;
    this.#size = 0;
  }
}
