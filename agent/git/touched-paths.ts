import { isUtf8 } from "node:buffer";
import type { RawPath } from "../../proto/index.ts";

/** More than that, and looking at everything is quicker. */
const MAX_PATHS = 64;

/** Files that may have been touched in the work tree. */
export interface Touched {
  /** Files whose paths are valid UTF-8. */
  paths: RawPath[];
  /** Whether anything else may have been touched too. */
  all: boolean;
}

/** Files that were touched in the work tree since somebody last asked. */
export class TouchedPaths {
  #paths = new Set<RawPath>();
  #all = true;

  /** Notes that a file was touched. */
  add(path: RawPath): void {
    // Only what can go through an argument list.
    if (isUtf8(Buffer.from(path, "latin1"))) this.#paths.add(path);
    else this.#all = true;
    if (this.#paths.size <= MAX_PATHS) return;
    this.#paths.clear();
    this.#all = true;
  }

  /** Notes that anything may have been touched. */
  addUnknown(): void {
    this.#all = true;
  }

  /** Returns what was touched since the last call, and forgets it. */
  take(): Touched {
    const touched = { paths: [...this.#paths], all: this.#all };
    this.#paths.clear();
    this.#all = false;
    return touched;
  }
}
