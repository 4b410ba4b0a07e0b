import { closeSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";
import { onStateFile } from "../state-directory.ts";

/** Two files of this size are more than anybody reads (bytes). */
const MAX_BYTES = 4 * 1024 * 1024;

/**
 * Log file in the state directory, bounded in size. A full file is renamed with ".1" behind its name and replaces the
 * one before.
 */
export class BoundedLog {
  readonly #path: string;
  #descriptor: number;
  #size: number;

  private constructor(path: string, { descriptor, size }: { descriptor: number; size: number }) {
    this.#path = path;
    this.#descriptor = descriptor;
    this.#size = size;
  }

  /** Opens the log, and makes it where there is none. Throws what keeps it from being written. */
  static open(path: string): BoundedLog {
    const descriptor = onStateFile(path, () => openSync(path, "a", 0o600));
    return new BoundedLog(path, { descriptor, size: fstatSync(descriptor).size });
  }

  /** Writes at once. A full disk loses the line and nothing else. */
  write(line: string): void {
    try {
      this.#size += writeSync(this.#descriptor, line);
      if (this.#size > MAX_BYTES) this.#rotate();
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
