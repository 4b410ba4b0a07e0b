import { type RawPath, splitPaths, rawPathOf } from "../../proto/index.ts";
import { FileAttributes } from "./attributes.ts";
import { rawPaths } from "./base-repository.ts";
import { type Claims, claimsStamp, NO_CLAIMS, readClaims } from "./claims.ts";
import { git, type Script, shell } from "./git.ts";
import { IndexFile, type IndexFileOptions } from "./index-file.ts";
import { findHeldFiles } from "./large-files.ts";
import { lookAt } from "./path-facts.ts";
import { GITLINK } from "./raw-diff.ts";
import { Staging } from "./staging.ts";
import type { SubmodulePlace } from "./submodule-place.ts";
import { together } from "./together.ts";

/** $1 the index's directory, $2 the work tree: Claude may have removed or closed it. */
const PREPARE: Script = {
  name: "read-tree",
  text: `set -e
[ ! -d "$1" ] || [ -L "$1" ] || chmod -R u+rwX -- "$1"
rm -rf -- "$1"
mkdir -p -- "$1/objects"
[ -d "$2" ] || mkdir -p -- "$2"
{ [ -r "$2" ] && [ -x "$2" ]; } || chmod u+rwx -- "$2"`,
};
/** What .gitmodules says now. Claude may have made anything of it. */
const REGISTERED = ["config", "-z", "--no-includes", "-f", ".gitmodules", "--get-regexp", "^submodule\\..*\\.path$"];
/** Submodules and .gitattributes. */
const LIST_SPECIAL: Script = {
  name: "ls-files",
  text: `git ls-files -s -z | { grep -z -e "^${GITLINK} " -e "[	/]\\.gitattributes$" || true; }`,
};

/** Index to make, and what to make it of. */
export interface PrivateIndexOptions extends IndexFileOptions {
  /**
   * Whether the directory holds the index of a fresh checkout of the start commit. Default: the index is made from the
   * commit, and every file is read.
   */
  copied?: boolean;
  signal: AbortSignal;
}

/** Index of our own, with what is known of the work tree from one look to the next. */
export class PrivateIndex extends IndexFile {
  /** Attributes of the index's files. */
  readonly attributes = new FileAttributes(this);
  /** Staging into this index. */
  readonly staging = new Staging(this);
  /**
   * Paths in the index that the start commit does not have. A file of that commit stays in the index when it is gone:
   * see `goneEntry`.
   */
  added = new Set<RawPath>();
  /** Files of the start commit that are not in the index: something else took their place. */
  displaced: ReadonlySet<RawPath> = new Set();
  /** Paths that git does not take at all, such as ".GIT/config". */
  readonly refused = new Set<RawPath>();
  /** Files that were too large when the index was made, and are not in it. */
  held = new Set<RawPath>();
  /** Submodules of the start commit, with their commits. */
  readonly submodules: { path: RawPath; id: string }[] = [];
  /** What the index holds for each submodule, of the start commit or new. */
  #submodulePlaces = new Map<RawPath, SubmodulePlace>();
  #claims: Claims = NO_CLAIMS;
  #claimsStamp: string | undefined;
  /** Whether some files found no room at the last look. */
  crowded = false;
  /** Bytes that have been put into the object directory. */
  stagedBytes = 0;

  /** Makes the index, replacing one of the same name. If it fails, nothing is left behind. */
  static async create(options: PrivateIndexOptions): Promise<PrivateIndex> {
    const index = new PrivateIndex(options);
    try {
      await index.#fill(options);
      return index;
    } catch (error) {
      // The signal may be the reason: this has a time of its own.
      await index.dispose({ signal: AbortSignal.timeout(10_000) }).catch(() => undefined);
      throw error;
    }
  }

  async #fill(options: PrivateIndexOptions): Promise<void> {
    const { signal, copied = false } = options;
    const fresh = !copied;
    if (fresh) {
      await shell(this.place, PREPARE, [this.directory, this.workTree], { signal });
      const { commitId } = options.base;
      // Claude's repository is read meanwhile, which is another one.
      await together(signal, (signal) => [
        git(this.place, ["read-tree", commitId === "" ? "--empty" : commitId], { signal }),
        this.readClaims({ signal }),
      ]);
    }
    const [special, held] = await together(signal, (signal) => [
      shell(this.place, LIST_SPECIAL, [], { signal }),
      fresh ? findHeldFiles(this.place, this.workTree, { signal }) : Promise.resolve(new Set<RawPath>()),
      // A copy has nothing that is to be forgotten.
      fresh ? Promise.resolve() : this.edit({ mark: [""], signal }),
    ]);
    this.held = held;
    const attributes = new Map<RawPath, string>();
    for (const line of splitPaths(special)) {
      const path = line.slice(line.indexOf("\t") + 1);
      if (!line.startsWith(GITLINK)) {
        attributes.set(path, line.split(" ")[1] ?? "");
        continue;
      }
      const submodule = { path, id: line.split(" ")[1] ?? "" };
      this.submodules.push(submodule);
      this.#submodulePlaces.set(submodule.path, { commitId: submodule.id });
    }
    if (attributes.size > 0) await this.attributes.read(attributes.values(), { signal });
    if (fresh) {
      // git takes a .gitattributes from the index where there is none in the work tree.
      const facts = await lookAt(this.place, this.workTree, [...attributes.keys()], { signal });
      const { skipped } = this;
      const holds = (path: RawPath): boolean =>
        facts.get(path)?.type === "f" || (skipped.has(path) && !facts.has(path));
      this.displaced = new Set([...attributes.keys()].filter((path) => !holds(path)));
    }
    if (!fresh) return;
    await this.edit({ forget: new Set([...this.held, ...this.displaced]), mark: [""], signal });
    await this.refresh({ signal });
  }

  /** Returns the claims of Claude's repository. They are read again if its index has been written since. */
  async readClaims(options: { signal: AbortSignal }): Promise<Claims> {
    const stamp = await claimsStamp(this.workTree);
    if (stamp !== undefined && stamp === this.#claimsStamp) return this.#claims;
    const { treeId: startTree, checkedOut } = this.base;
    const read = { workTree: this.workTree, startTree, given: checkedOut?.given };
    this.#claims = await this.unblocked(options.signal, (signal) => readClaims(this.ownerPlace, { ...read, signal }));
    this.#claimsStamp = stamp;
    return this.#claims;
  }

  /** Files that need not be in the work tree, by the last claims. */
  get skipped(): ReadonlySet<RawPath> {
    return this.#claims.skipped;
  }

  /** Submodules whose files are the start's, with the commits that they were at. */
  get givenSubmodules(): ReadonlyMap<RawPath, string> {
    const given = this.base.checkedOut?.submodules ?? [];
    return new Map(given.map(({ path, headCommitId }) => [rawPathOf(path), headCommitId]));
  }

  /** Files of Git LFS whose content the start has. */
  get givenLargeFiles(): ReadonlySet<RawPath> {
    const { largePaths = [], submodules = [] } = this.base.checkedOut ?? {};
    const inside = submodules.flatMap((submodule) => {
      const top = rawPathOf(submodule.path);
      return rawPaths(submodule.largePaths).map((path) => `${top}/${path}`);
    });
    return new Set([...largePaths, ...inside]);
  }

  /** Returns the paths that .gitmodules names now. */
  async listRegisteredSubmodules(options: { signal: AbortSignal }): Promise<Set<RawPath>> {
    const { stdout } = await this.git(REGISTERED, options);
    return new Set(splitPaths(stdout).map((line) => line.slice(line.indexOf("\n") + 1)));
  }

  /** Puts the commits of submodules into the index, or makes room for the ordinary files in their places. */
  async placeSubmodules(places: ReadonlyMap<RawPath, SubmodulePlace>, options: { signal: AbortSignal }): Promise<void> {
    const before = this.#submodulePlaces;
    const commitId = (place: SubmodulePlace | undefined): string => (typeof place === "object" ? place.commitId : "");
    const links: [RawPath, string][] = [];
    const mark: RawPath[] = [];
    for (const [path, place] of places) {
      const known = before.get(path);
      if (typeof place === "object") {
        if (commitId(known) !== place.commitId) links.push([path, place.commitId]);
      } else if (place === "files" && known !== "files") mark.push(`${path}/`);
    }
    const forget = [...before].filter(([path, place]) => !places.has(path) && commitId(place) !== "");
    await this.edit({ forget: forget.map(([path]) => path), links, mark, ...options });
    this.#submodulePlaces = new Map(places);
  }

  /** Paths at which the index holds a submodule's commit. */
  get placedSubmodules(): RawPath[] {
    return [...this.#submodulePlaces].filter(([, place]) => typeof place === "object").map(([path]) => path);
  }
}
