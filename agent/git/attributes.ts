import { type RawPath, splitPaths } from "../../proto/index.ts";
import { objectSizes } from "./change-diff.ts";
import type { Claims } from "./claims.ts";
import { git, type Script } from "./git.ts";
import type { IndexFile } from "./index-file.ts";
import type { RawDiffEntry } from "./raw-diff.ts";
import { findUntouched } from "./untouched.ts";

/** $1 is the work tree. */
const LIST_FILTERS: Script = {
  name: "check-attr",
  text: 'cd -- "$1" && git ls-files -z | git check-attr -z --stdin filter',
};

/** "text=auto" leaves alone what was committed with other line ends. */
const CONVERTING = /\b(?:text(?!=auto)|crlf|eol|ident|working-tree-encoding)\b/;

/** Attributes of the files in an index, as .gitattributes files give them. */
export class FileAttributes {
  /** Whether there are any .gitattributes, in the start commit or new. */
  exist = false;
  /** They may make files differ from what was committed. */
  #converts = false;
  #hasFilters = false;
  /** Whether files that look changed have the bytes of the checkout, by path and what they look like. */
  #untouched = new Map<RawPath, { newId: string; untouched: boolean }>();
  readonly #index: IndexFile;

  constructor(index: IndexFile) {
    this.#index = index;
  }

  /** Reads the .gitattributes of the start commit, given the ids of their contents. */
  async read(ids: Iterable<string>, options: { signal: AbortSignal }): Promise<void> {
    const input = [...ids].map((id) => `${id}\n`).join("");
    const texts = (await git(this.#index.place, ["cat-file", "--batch"], { ...options, input })).toString("latin1");
    this.exist = true;
    this.#converts = CONVERTING.test(texts);
    this.#hasFilters = texts.includes("filter");
  }

  /** Notes that attributes differ from those of the start commit. */
  noteOthers(): void {
    this.exist = true;
    this.#converts = true;
    this.#hasFilters = true;
  }

  /** Returns the filter of each file in the index that has one. */
  async listFilters(options: { signal: AbortSignal }): Promise<Map<RawPath, string>> {
    const filters = new Map<RawPath, string>();
    if (!this.#hasFilters) return filters;
    const { stdout } = await this.#index.script(LIST_FILTERS, [this.#index.workTree], options);
    const fields = splitPaths(stdout);
    for (let at = 0; at + 2 < fields.length; at += 3) {
      const [path = "", , name = ""] = fields.slice(at, at + 3);
      if (!/^(?:unspecified|unset|set)$/.test(name) && !this.#index.isMarker(path)) filters.set(path, name);
    }
    return filters;
  }

  /**
   * Returns the entries whose files Claude has not touched, though git takes them for changed: see findUntouched. A
   * file whose content Claude's repository says to be another one counts as touched.
   */
  async listUntouched(
    entries: readonly RawDiffEntry[],
    options: { claims: Claims; signal: AbortSignal },
  ): Promise<Set<RawPath>> {
    const { claims, signal } = options;
    if (!this.#converts) return new Set();
    const suspects = entries.filter(
      ({ path, oldMode, newMode, oldId, newId }) =>
        oldMode === newMode && /^100/.test(newMode) && oldId !== newId && !claims.modified.has(path),
    );
    const fresh = suspects.filter(({ path, newId }) => this.#untouched.get(path)?.newId !== newId);
    if (fresh.length > 0) {
      const { place, directory, workTree, base } = this.#index;
      const sizes = await objectSizes(place, fresh, { signal });
      const bytes = fresh.reduce((sum, { oldId }) => sum + (sizes.get(oldId) ?? 0), 0);
      const where = { directory, workTree, startTree: base.treeId, signal };
      // Other encodings take up to four times as much. What there is no room for counts as touched.
      const roomy = 4 * bytes < (await this.#index.room()).bytes;
      const found = roomy ? await findUntouched(place, fresh.map(({ path }) => path), where) : new Set(); // prettier-ignore
      for (const { path, newId } of fresh) this.#untouched.set(path, { newId, untouched: found.has(path) });
    }
    return new Set(suspects.map(({ path }) => path).filter((path) => this.#untouched.get(path)?.untouched === true));
  }
}
