import { isUtf8 } from "node:buffer";
import { parentsOf, type RawPath } from "../../proto/index.ts";

/** More than that, and looking at everything is quicker. */
const MAX_PATHS = 64;

/** Files that may have been touched in the work tree. */
export interface Touched {
  /** Files whose paths are valid UTF-8. */
  paths: RawPath[];
  /** Whether anything else may have been touched too. */
  all: boolean;
  /** Whether there were so many that `paths` are only the first. */
  many: boolean;
  /** Whether other files may be ignored than before. */
  otherwiseIgnored: boolean;
}

/** Files that were touched in the work tree since somebody last asked. */
export class TouchedPaths {
  /** Directories whose files do not count. */
  ignored: ReadonlySet<RawPath> = new Set();
  #touched = nothing();
  readonly #paths = new Set<RawPath>();

  constructor() {
    this.addUnknown();
  }

  /** Notes that a file was touched. Returns whether it counts. */
  add(path: RawPath): boolean {
    if (this.#isIgnored(path)) return false;
    const touched = this.#touched;
    if (this.#paths.size >= MAX_PATHS && !this.#paths.has(path)) touched.all = touched.many = true;
    // Only what can go through an argument list.
    else if (isUtf8(Buffer.from(path, "latin1"))) this.#paths.add(path);
    else touched.all = true;
    return true;
  }

  /** Notes that a directory was touched, or a file that says what git does with others. Returns whether it counts. */
  addAround(path: RawPath): boolean {
    if (this.#isIgnored(path)) return false;
    this.ignored = new Set();
    this.#touched.otherwiseIgnored = true;
    this.addUnknown();
    return true;
  }

  /** Notes that anything may have been touched. */
  addUnknown(): void {
    this.#touched.all = true;
  }

  /** Whether other files may be ignored than at the last call of `take`. */
  get otherwiseIgnored(): boolean {
    return this.#touched.otherwiseIgnored;
  }

  /** Returns what was touched since the last call, and forgets it. */
  take(): Touched {
    const touched = { ...this.#touched, paths: [...this.#paths] };
    this.#touched = nothing();
    this.#paths.clear();
    return touched;
  }

  #isIgnored(path: RawPath): boolean {
    return this.ignored.size > 0 && parentsOf(path).some((folder) => this.ignored.has(folder));
  }
}

function nothing(): Omit<Touched, "paths"> {
  return { all: false, many: false, otherwiseIgnored: false };
}
