import { isUtf8 } from "node:buffer";
import type { RawPath } from "./raw-path.ts";

/** More than that, and looking at everything is quicker. */
const MAX_PATHS = 64;

/** What the kernel said has been touched in the work tree since somebody last asked. */
export class TouchedPaths {
  #paths = new Set<RawPath>();
  #known = false;

  /** Notes a file. */
  add(path: RawPath): void {
    // Only what can go through an argument list.
    if (isUtf8(Buffer.from(path, "latin1"))) this.#paths.add(path);
    else this.#known = false;
    if (this.#paths.size > MAX_PATHS) this.addUnknown();
  }

  /** Notes that anything may have been touched. */
  addUnknown(): void {
    this.#known = false;
    this.#paths.clear();
  }

  /** Returns the files touched since the last call. Undefined: these are not all, or there are none. */
  take(): RawPath[] | undefined {
    const paths = this.#known && this.#paths.size > 0 ? [...this.#paths] : undefined;
    this.#paths.clear();
    this.#known = true;
    return paths;
  }
}
