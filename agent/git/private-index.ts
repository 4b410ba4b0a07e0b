import { randomBytes } from "node:crypto";
import type { Identity } from "../process/identity.ts";
import type { RunResult } from "../process/run.ts";
import { type BaseRepository, OBJECT_FORMATS } from "./base-repository.ts";
import { objectSizes } from "./change-diff.ts";
import { type Claims, claimsStamp, NO_CLAIMS, readClaims } from "./claims.ts";
import { git, gitFailed, type GitOptions, type GitPlace, runIn, type Script, shell, tryGit } from "./git.ts";
import { findLargeFiles, lookAt } from "./path-facts.ts";
import { ABSENT, GITLINK, parseRawDiff, type RawDiffEntry } from "./raw-diff.ts";
import { joinPaths, type RawPath, splitPaths } from "./raw-path.ts";
import { type Room, roomIn, throwIfFull } from "./room.ts";
import type { SubmodulePlace } from "./submodule-place.ts";
import { findUntouched } from "./untouched.ts";
import { withoutBlocking } from "./unblock-fifos.ts";

/** What GitHub refuses too. Larger files are left out of the patch, and said to be. */
export const MAX_FILE_BYTES = 100 * 1024 * 1024;
/** Most that one look at the work tree reads. A patch of it would be far above its own limit. */
const MAX_BYTES_PER_READ = 1024 * 1024 * 1024;
/** git spreads its objects over so many directories. */
const OBJECT_DIRECTORIES = 256;
/** How often staging narrows down which file git cannot take, before the rest counts as such. */
const MAX_STAGE_ATTEMPTS = 1000;

/** $1 the index's directory, $2 what it starts from, if anything, $3 the work tree: Claude may have removed or closed it. */
const PREPARE: Script = {
  name: "read-tree",
  text: `set -e
[ ! -d "$1" ] || [ -L "$1" ] || chmod -R u+rwX -- "$1"
rm -rf -- "$1"
mkdir -p -- "$1/objects"
[ ! -e "$2" ] || cp --preserve=timestamps -- "$2" "$1/index"
[ -d "$3" ] || mkdir -p -- "$3"
{ [ -r "$3" ] && [ -x "$3" ]; } || chmod u+rwx -- "$3"`,
};
const REMOVE: Script = { name: "clean", text: 'rm -rf -- "$1"' };
/** What .gitmodules says now. Claude may have made anything of it. */
const REGISTERED = ["config", "-z", "--no-includes", "-f", ".gitmodules", "--get-regexp", "^submodule\\..*\\.path$"];
/** Submodules and .gitattributes. */
const LIST_SPECIAL: Script = {
  name: "ls-files",
  text: `git ls-files -s -z | { grep -z -e "^${GITLINK} " -e "[	/]\\.gitattributes$" || true; }`,
};

/** $1 is the work tree. */
const LIST_FILTERS = 'cd -- "$1" && git ls-files -z | git check-attr -z --stdin filter';

/** Version 4 is smaller: the index of a large repository is written for every change of one file. */
const EDIT_FLAGS = ["update-index", "-z", "--index-version", "4", "--index-info"];
const STAGE_FLAGS = ["update-index", "-z", "--add", "--remove", "--replace", "--stdin"];
const DIFF_FLAGS = ["diff-index", "--cached", "-z", "--raw", "--no-abbrev", "--no-renames"];
/** Both in one: each start of a process from Node costs more than the process. $1 work tree, $2 start tree. */
const STAGE_AND_DIFF = `git -C "$1" ${STAGE_FLAGS.join(" ")} && exec git ${DIFF_FLAGS.join(" ")} "$2"`;

/** "text=auto" leaves alone what was committed with other line ends. */
const CONVERTING = /\b(?:text(?!=auto)|crlf|eol|ident|working-tree-encoding)\b/;

const SCAN_CONFIG = {
  "core.looseCompression": "1",
  // Larger ones are streamed, and never compared line by line: memory is short in a container.
  "core.bigFileThreshold": "32m",
  "core.untrackedCache": "false",
  "core.splitIndex": "false",
  "core.autocrlf": "false",
  "core.safecrlf": "false",
  "core.attributesFile": "/dev/null",
  "core.excludesFile": "/dev/null",
};

export interface PrivateIndexOptions {
  base: BaseRepository;
  workTree: string;
  /** The scan directory; the index gets a directory of its own in it. */
  scanDirectory: string;
  name: string;
  identity: Identity | undefined;
  /** Whose the work tree is, if that is somebody else. Default: the identity. */
  owner?: Identity | undefined;
  /** An index of the start commit with the facts of a fresh checkout, to be copied. */
  copyOf?: string;
  signal: AbortSignal;
}

/** Returns the place for an index of our own with an object directory of its own, and the directory for both. */
export function scanPlace(
  options: Pick<PrivateIndexOptions, "base" | "workTree" | "scanDirectory" | "name" | "identity">,
): { place: GitPlace; directory: string } {
  const { base, workTree, identity } = options;
  const directory = `${options.scanDirectory}/${options.name}`;
  const variables = {
    GIT_DIR: base.gitDir,
    GIT_WORK_TREE: workTree,
    GIT_INDEX_FILE: `${directory}/index`,
    GIT_OBJECT_DIRECTORY: `${directory}/objects`,
    GIT_ALTERNATE_OBJECT_DIRECTORIES: `${base.gitDir}/objects`,
  };
  return { place: { identity, variables, config: SCAN_CONFIG }, directory };
}

/** Removes a directory of ours, as the place's identity. */
export async function removeDirectory(
  place: GitPlace,
  directory: string,
  options: { signal: AbortSignal },
): Promise<void> {
  await shell(place, REMOVE, [directory], options);
}

/**
 * An index of our own, with an object directory of its own, for comparing the work tree with the start commit. git
 * runs as a user who may read the work tree, with the base as its git directory: the session's own .git plays no part.
 *
 * Some entries of the index are markers, files that never exist. One is at the top: if it is gone, somebody else
 * wrote the index. The others are in nested repositories: git does not look into a directory that is a repository
 * unless it tracks something in there.
 */
export class PrivateIndex {
  readonly place: GitPlace;
  /** The same as the work tree's owner: for what Claude's own repositories are asked. */
  readonly ownerPlace: GitPlace;
  readonly #rawPlace: GitPlace;
  readonly workTree: string;
  readonly directory: string;
  readonly #base: BaseRepository;
  readonly #scanDirectory: string;
  readonly #marker = `.claudecluster-${randomBytes(12).toString("hex")}`;

  /** Paths in the index that are not in the start commit. Files of that commit stay in it when they are gone: see `goneEntry`. */
  added = new Set<RawPath>();
  /** Files of the start commit that are not in the index either: something else took their place. */
  displaced: ReadonlySet<RawPath> = new Set();
  /** Files that are in the index as they are, since they are not in the encoding that their attributes name. */
  unconverted = new Set<RawPath>();
  /** There are .gitattributes, in the start commit or new. */
  hasAttributes = false;
  /** They may make files differ from what was committed. */
  #converts = false;
  #hasFilters = false;
  /** Whether files that look changed have the bytes of the checkout, by path and what they look like. */
  #untouched = new Map<RawPath, { newId: string; untouched: boolean }>();
  /** The commits' ids for which files have been normalized. */
  #normalized = new Map<RawPath, string>();
  /** Paths that git does not take at all, such as ".GIT/config". */
  readonly refused = new Set<RawPath>();
  /** Too large already when the index was made, and therefore not in it. */
  held = new Set<RawPath>();
  /** Submodules of the start commit. */
  readonly submodules: { path: RawPath; id: string }[] = [];
  /** What the index holds for each submodule, of the start commit or new. */
  #submodulePlaces = new Map<RawPath, SubmodulePlace>();
  #claims: Claims = NO_CLAIMS;
  #claimsStamp: string | undefined;
  /** What the index holds differs so from the start commit. Undefined: not known. */
  #diff: RawDiffEntry[] | undefined;
  /** Some files found no room when last looked at. */
  crowded = false;
  /** How much has been put into the object directory. */
  stagedBytes = 0;

  private constructor(options: PrivateIndexOptions) {
    this.workTree = options.workTree;
    this.#base = options.base;
    this.#scanDirectory = options.scanDirectory;
    const { place, directory } = scanPlace(options);
    this.place = place;
    this.directory = directory;
    this.ownerPlace = { ...place, identity: options.owner ?? options.identity };
    const variables = { ...place.variables, GIT_DIR: options.base.rawGitDir };
    this.#rawPlace = { ...place, variables };
  }

  /** Makes the index, replacing one of the same name, or leaves nothing behind. */
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
    const { signal, copyOf } = options;
    await shell(this.place, PREPARE, [this.directory, copyOf ?? "", this.workTree], { signal });
    if (copyOf === undefined) {
      const { commitId } = options.base;
      await git(this.place, ["read-tree", commitId === "" ? "--empty" : commitId], { signal });
      this.held = await this.#chooseHeld({ signal });
    }
    const attributes = new Map<RawPath, string>();
    for (const line of splitPaths(await shell(this.place, LIST_SPECIAL, [], { signal }))) {
      const path = line.slice(line.indexOf("\t") + 1);
      if (!line.startsWith(GITLINK)) {
        attributes.set(path, line.split(" ")[1] ?? "");
        continue;
      }
      const submodule = { path, id: line.split(" ")[1] ?? "" };
      this.submodules.push(submodule);
      this.#submodulePlaces.set(submodule.path, { commitId: submodule.id });
    }
    if (attributes.size > 0) {
      const input = [...attributes.values()].map((id) => `${id}\n`).join("");
      const texts = (await git(this.place, ["cat-file", "--batch"], { signal, input })).toString("latin1");
      this.hasAttributes = true;
      this.#converts = CONVERTING.test(texts);
      this.#hasFilters = texts.includes("filter");
    }
    if (copyOf === undefined) {
      // git takes a .gitattributes from the index where there is none in the work tree.
      const facts = await lookAt(this.place, this.workTree, [...attributes.keys()], { signal });
      const { skipped } = await this.readClaims({ signal });
      const holds = (path: RawPath): boolean =>
        facts.get(path)?.type === "f" || (skipped.has(path) && !facts.has(path));
      this.displaced = new Set([...attributes.keys()].filter((path) => !holds(path)));
    }
    await this.edit({ forget: new Set([...this.held, ...this.displaced]), mark: [""], signal });
    if (copyOf === undefined) await this.refresh({ signal });
  }

  /** Removes the index and everything it stored. */
  async dispose(options: { signal: AbortSignal }): Promise<void> {
    await removeDirectory(this.place, this.directory, options);
  }

  /**
   * Takes note of the files that are as they were, so that the next look need not read them, and writes that down
   * although nothing changed: files written in the same second as the index are otherwise read again each time.
   */
  async refresh(options: { signal: AbortSignal }): Promise<void> {
    const args = ["update-index", "-q", "--force-write-index", "--ignore-submodules", "--refresh"];
    const result = await this.#inWorkTree(args, options);
    if (result.code !== 0 && result.code !== 1) throw gitFailed(args, result); // 1: something differs.
  }

  /**
   * Returns what differs between index and work tree by stat alone. Complaints: some paths could not be looked at.
   */
  async listDirty(options: { signal: AbortSignal }): Promise<{ entries: RawDiffEntry[]; complaints: boolean }> {
    const args = ["diff-files", "-z", "--raw", "--no-abbrev", "--no-renames", "--ignore-submodules=dirty"];
    const result = await this.#inWorkTree(args, options);
    if (result.code !== 0) throw gitFailed(args, result);
    const entries = parseRawDiff(result.stdout);
    const ours = entries.some(({ path }) => path === this.#marker);
    if (!ours) throw new Error("the private index is not the one we wrote");
    return { entries: entries.filter(({ path }) => !this.#isMarker(path)), complaints: result.stderr !== "" };
  }

  /**
   * Returns the files that are neither in the index nor ignored. A nested repository is one path that ends in a slash.
   */
  async listOthers(options: { signal: AbortSignal }): Promise<{ paths: RawPath[]; complaints: boolean }> {
    const args = ["ls-files", "-z", "--others", "--exclude-standard"];
    const result = await this.#inWorkTree(args, options);
    if (result.code !== 0) throw gitFailed(args, result);
    return { paths: splitPaths(result.stdout), complaints: result.stderr !== "" };
  }

  /** Takes note that attributes are others than in the start commit. */
  noteAttributes(): void {
    this.hasAttributes = true;
    this.#converts = true;
    this.#hasFilters = true;
  }

  /** Returns the filter of each file of the index that attributes give one. */
  async listFilters(options: { signal: AbortSignal }): Promise<Map<RawPath, string>> {
    const filters = new Map<RawPath, string>();
    if (!this.#hasFilters) return filters;
    const args = [this.workTree];
    const result = await this.#blocking(options.signal, (signal) =>
      runIn(this.place, "sh", ["-c", LIST_FILTERS, "sh", ...args], { ...options, signal }),
    );
    const fields = splitPaths(result.stdout);
    for (let at = 0; at + 2 < fields.length; at += 3) {
      const [path = "", , name = ""] = fields.slice(at, at + 3);
      if (!/^(?:unspecified|unset|set)$/.test(name) && !this.#isMarker(path)) filters.set(path, name);
    }
    return filters;
  }

  /** Returns which of the paths are ignored. Undefined: git could not tell, as for a path behind a symbolic link. */
  async listIgnored(paths: Iterable<RawPath>, options: { signal: AbortSignal }): Promise<RawPath[] | undefined> {
    // The "./" keeps a name such as ":(top)" from being taken for a pattern.
    const input = joinPaths([...paths].map((path) => `./${path}`));
    if (input.length === 0) return [];
    const result = await this.#inWorkTree(["check-ignore", "-z", "--stdin", "--no-index"], { ...options, input });
    return result.code === 0 || result.code === 1 ? splitPaths(result.stdout).map((path) => path.slice(2)) : undefined;
  }

  /** Takes paths out of the index, and puts a marker into directories. */
  async edit(options: { forget?: Iterable<RawPath>; mark?: Iterable<RawPath>; signal: AbortSignal }): Promise<void> {
    const { idLength, emptyBlob } = OBJECT_FORMATS[this.#base.objectFormat];
    let text = "";
    for (const path of options.forget ?? []) text += `0 ${"0".repeat(idLength)}\t${path}\0`;
    for (const directory of options.mark ?? []) text += `100644 ${emptyBlob}\t${directory}${this.#marker}\0`;
    if (text === "") return;
    await this.#write(EDIT_FLAGS, { input: Buffer.from(text, "latin1"), signal: options.signal });
  }

  /** Returns what Claude's repository says, read anew if its index has been written since the last time. */
  async readClaims(options: { signal: AbortSignal }): Promise<Claims> {
    const stamp = await claimsStamp(this.workTree);
    if (stamp !== undefined && stamp === this.#claimsStamp) return this.#claims;
    const read = { workTree: this.workTree, startTree: this.#base.treeId };
    this.#claims = await withoutBlocking(this.ownerPlace, this.workTree, options.signal, (signal) =>
      readClaims(this.ownerPlace, { ...read, signal }),
    );
    this.#claimsStamp = stamp;
    return this.#claims;
  }

  /** Files that need not be in the work tree, as Claude's repository said when it was last read. */
  get skipped(): ReadonlySet<RawPath> {
    return this.#claims.skipped;
  }

  /** Returns the paths that .gitmodules names. */
  async listRegisteredSubmodules(options: { signal: AbortSignal }): Promise<Set<RawPath>> {
    const { stdout } = await this.#inWorkTree(REGISTERED, options);
    return new Set(splitPaths(stdout).map((line) => line.slice(line.indexOf("\n") + 1)));
  }

  /** Gives submodules their place in the index, or lets ordinary files take it. */
  async placeSubmodules(places: ReadonlyMap<RawPath, SubmodulePlace>, options: { signal: AbortSignal }): Promise<void> {
    const before = this.#submodulePlaces;
    const commitId = (place: SubmodulePlace | undefined): string => (typeof place === "object" ? place.commitId : "");
    let text = "";
    const mark: RawPath[] = [];
    for (const [path, place] of places) {
      const known = before.get(path);
      if (typeof place === "object") {
        if (commitId(known) !== place.commitId) text += `${GITLINK} ${place.commitId}\t${path}\0`;
      } else if (place === "files" && known !== "files") mark.push(`${path}/`);
    }
    const forget = [...before].filter(([path, place]) => !places.has(path) && commitId(place) !== "");
    await this.edit({ forget: forget.map(([path]) => path), ...options });
    if (text !== "") await this.#write(EDIT_FLAGS, { ...options, input: Buffer.from(text, "latin1") });
    await this.edit({ mark, ...options });
    this.#submodulePlaces = new Map(places);
  }

  /** Submodules that the index holds as such. */
  get placedSubmodules(): RawPath[] {
    return [...this.#submodulePlaces].filter(([, place]) => typeof place === "object").map(([path]) => path);
  }

  /**
   * Puts the files' content into the index and returns what differs between the start commit and the index then, and
   * the files that git could not read. Throws WORKSPACE_FULL.
   */
  async stage(
    paths: readonly RawPath[],
    options: { signal: AbortSignal },
  ): Promise<{ entries: RawDiffEntry[]; failed: RawPath[] }> {
    for (const path of paths) this.unconverted.delete(path);
    if (paths.length === 0 && this.#diff !== undefined) return { entries: this.#diff, failed: [] };
    const args = [this.workTree, this.#base.treeId];
    // It may be cut off between the two.
    this.#diff = undefined;
    const result = await this.#blocking(options.signal, (signal) =>
      runIn(this.place, "sh", ["-c", STAGE_AND_DIFF, "sh", ...args], { ...options, signal, input: joinPaths(paths) }),
    );
    let failed: RawPath[] = [];
    let output = result.stdout;
    if (result.code !== 0) {
      const hard = await this.#stageByHalves(paths, this.place, options);
      failed = await this.#stageByHalves(hard, this.#rawPlace, options);
      for (const path of hard) if (!failed.includes(path)) this.unconverted.add(path);
      output = await git(this.place, [...DIFF_FLAGS, this.#base.treeId], options);
    }
    this.#diff = parseRawDiff(output).filter(({ path }) => !this.#isMarker(path));
    return { entries: this.#diff, failed };
  }

  /**
   * Returns which of the entries are files that Claude has not touched. Some look changed: see findUntouched. Those
   * whose content Claude's repository says to be another one count as touched.
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
      const sizes = await objectSizes(this.place, fresh, { signal });
      const bytes = fresh.reduce((sum, { oldId }) => sum + (sizes.get(oldId) ?? 0), 0);
      const { directory, workTree } = this;
      const where = { directory, workTree, startTree: this.#base.treeId, signal };
      // Other encodings take up to four times as much. What there is no room for counts as touched.
      const roomy = 4 * bytes < (await this.room()).bytes;
      const found = roomy ? await findUntouched(this.place, fresh.map(({ path }) => path), where) : new Set(); // prettier-ignore
      for (const { path, newId } of fresh) this.#untouched.set(path, { newId, untouched: found.has(path) });
    }
    return new Set(suspects.map(({ path }) => path).filter((path) => this.#untouched.get(path)?.untouched === true));
  }

  /**
   * Puts files that look unchanged into the index as git add --renormalize would, if Claude's repository says that they
   * are changed: git does not normalize by itself what was committed otherwise. Returns whether there were any.
   */
  async normalize(
    entries: readonly RawDiffEntry[],
    options: { claims: Claims; missing: ReadonlySet<RawPath>; signal: AbortSignal },
  ): Promise<boolean> {
    const { claims, missing } = options;
    const differing = new Set(entries.map(({ path }) => path));
    const paths = [...claims.modified].filter(
      ([path, id]) => !differing.has(path) && !missing.has(path) && this.#normalized.get(path) !== id,
    );
    for (const [path, id] of paths) this.#normalized.set(path, id);
    if (paths.length === 0) return false;
    const args = ["--literal-pathspecs", "add", "--renormalize", "--pathspec-from-file=-", "--pathspec-file-nul"];
    const input = joinPaths(paths.map(([path]) => path));
    this.#diff = undefined;
    // It is all or nothing: what git cannot convert stays as it was.
    await this.#inWorkTree(args, { signal: options.signal, input });
    return true;
  }

  /** Stages what can be staged. Which file git could not take is only in its messages: this looks for it by halves. */
  async #stageByHalves(
    paths: readonly RawPath[],
    place: GitPlace,
    options: { signal: AbortSignal },
  ): Promise<RawPath[]> {
    if (paths.length === 0) return [];
    // Fails if the paths have nothing to do with it.
    await this.#write(["update-index", "--force-write-index"], options);
    const failed: RawPath[] = [];
    const pending: (readonly RawPath[])[] = [paths];
    for (let attempt = 0, batch = pending.pop(); batch !== undefined; attempt++, batch = pending.pop()) {
      if (attempt >= MAX_STAGE_ATTEMPTS) {
        failed.push(...batch);
        continue;
      }
      const result = await this.#inWorkTree(STAGE_FLAGS, { ...options, input: joinPaths(batch) }, place);
      if (result.code === 0) continue;
      await throwIfFull([{ directory: this.#scanDirectory, use: "scan" }], gitFailed(STAGE_FLAGS, result));
      if (batch.length === 1) failed.push(...batch);
      else pending.push(batch.slice(0, batch.length >> 1), batch.slice(batch.length >> 1));
    }
    return failed;
  }

  /** Returns what can be staged with certainty, however badly it compresses. */
  async room(): Promise<Room> {
    const { bytes, files } = await roomIn(this.#scanDirectory);
    return { bytes: Math.min(bytes * 0.8, MAX_BYTES_PER_READ), files: files * 0.8 - OBJECT_DIRECTORIES };
  }

  /** The commit that the work tree is compared with. "": none. */
  get startCommitId(): string {
    return this.#base.commitId;
  }

  /** The tree without anything. */
  get emptyTree(): string {
    return OBJECT_FORMATS[this.#base.objectFormat].emptyTree;
  }

  /** Returns the entry for a path that is gone from the work tree, but not from the index. */
  goneEntry(entry: RawDiffEntry): RawDiffEntry {
    return { ...entry, newMode: ABSENT, newId: "0".repeat(OBJECT_FORMATS[this.#base.objectFormat].idLength) };
  }

  /** Large files are not read to see whether they differ, but for those that have been as large from the start. */
  async #chooseHeld(options: { signal: AbortSignal }): Promise<Set<RawPath>> {
    const large = new Set(await findLargeFiles(this.place, this.workTree, MAX_FILE_BYTES, options));
    if (large.size === 0) return large;
    const tracked = new Map<RawPath, { oldMode: string; oldId: string; newMode: string; newId: string }>();
    for (const line of splitPaths(await git(this.place, ["ls-files", "-s", "-z"], options))) {
      const [oldMode = "", oldId = ""] = line.split(" ", 2);
      const path = line.slice(line.indexOf("\t") + 1);
      if (large.has(path)) tracked.set(path, { oldMode, oldId, newMode: ABSENT, newId: "" });
    }
    const sizes = await objectSizes(this.place, [...tracked.values()], options);
    const facts = await lookAt(this.place, this.workTree, [...tracked.keys()], options);
    for (const [path, { oldId }] of tracked) {
      if (facts.get(path)?.sizeBytes === sizes.get(oldId)) large.delete(path);
    }
    return large;
  }

  #isMarker(path: RawPath): boolean {
    return path.endsWith(this.#marker);
  }

  /**
   * Every command that writes the index runs in the work tree, also those that do not need it: git looks once more at
   * the files that may have changed in the second of the last writing, by relative paths.
   */
  async #write(args: readonly string[], options: GitOptions): Promise<void> {
    this.#diff = undefined;
    const result = await this.#inWorkTree(args, options);
    if (result.code !== 0) throw gitFailed(args, result);
  }

  #inWorkTree(args: readonly string[], options: GitOptions, place = this.place): Promise<RunResult> {
    const inWorkTree = ["-C", this.workTree, ...args];
    return this.#blocking(options.signal, (signal) => tryGit(place, inWorkTree, { ...options, signal }));
  }

  #blocking(signal: AbortSignal, work: (signal: AbortSignal) => Promise<RunResult>): Promise<RunResult> {
    return withoutBlocking(this.ownerPlace, this.workTree, signal, work);
  }
}
