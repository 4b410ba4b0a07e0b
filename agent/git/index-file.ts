import { randomBytes } from "node:crypto";
import { gitFailed, joinPaths, type RawPath, splitPaths } from "../../proto/index.ts";
import type { Identity } from "../process/identity.ts";
import type { RunResult } from "../process/run.ts";
import { type BaseRepository, OBJECT_FORMATS } from "./base-repository.ts";
import { type GitOptions, type GitPlace, type Script, tryGit, tryShell } from "./git.ts";
import { ABSENT, GITLINK, parseRawDiff, type RawDiffEntry } from "./raw-diff.ts";
import { type Room, roomIn } from "./room.ts";
import { removeDirectory, scanPlace, type ScanPlaceOptions } from "./scan-place.ts";
import { withoutBlocking } from "./unblock-fifos.ts";

/** Most that one look at the work tree reads. A patch of it would be far above its own limit. */
const MAX_BYTES_PER_READ = 1024 * 1024 * 1024;
/** git spreads its objects over so many directories. */
const OBJECT_DIRECTORIES = 256;

/** Version 4 is smaller: the index of a large repository is written for every change of one file. */
const EDIT_FLAGS = ["update-index", "-z", "--index-version", "4", "--index-info"];

/** Place of an index, and the owner of its work tree. */
export interface IndexFileOptions extends ScanPlaceOptions {
  /** Owner of the work tree. Default: the identity. */
  owner?: Identity | undefined;
}

/**
 * Index of our own with an object directory of its own, for comparing the work tree with the start commit. git runs as
 * a user who may read the work tree, with the base as its git directory: Claude's own .git plays no part.
 *
 * Some entries of the index are markers, files that never exist. One is at the top: if it is gone, somebody else wrote
 * the index. The others are in nested repositories: git looks into a directory that is a repository only if it tracks
 * something in it.
 */
export class IndexFile {
  readonly place: GitPlace;
  /** Place with the work tree's owner as its user, for questions to Claude's own repositories. */
  readonly ownerPlace: GitPlace;
  /** Place without any conversion of bytes. */
  readonly rawPlace: GitPlace;
  readonly workTree: string;
  readonly directory: string;
  readonly scanDirectory: string;
  readonly base: BaseRepository;
  readonly #marker = `.claudecluster-${randomBytes(12).toString("hex")}`;
  /** Number of times that something may have written the index. */
  writeCount = 0;

  constructor(options: IndexFileOptions) {
    this.workTree = options.workTree;
    this.base = options.base;
    this.scanDirectory = options.scanDirectory;
    const { place, directory } = scanPlace(options);
    this.place = place;
    this.directory = directory;
    this.ownerPlace = { ...place, identity: options.owner ?? options.identity };
    this.rawPlace = { ...place, variables: { ...place.variables, GIT_DIR: options.base.rawGitDir } };
  }

  /** Removes the index and everything it stored. */
  async dispose(options: { signal: AbortSignal }): Promise<void> {
    await removeDirectory(this.place, this.directory, options);
  }

  /**
   * Notes which files are unchanged, so that the next look does not read them. The index is written even if nothing
   * changed: files written in the same second as the index would be read again each time.
   */
  async refresh(options: { signal: AbortSignal }): Promise<void> {
    const args = ["update-index", "-q", "--force-write-index", "--ignore-submodules", "--refresh"];
    const result = await this.git(args, options);
    if (result.code !== 0 && result.code !== 1) throw gitFailed(args, result); // 1: something differs.
  }

  /**
   * Returns the differences between index and work tree by stat alone. `complaints`: some paths could not be looked at.
   * Throws if the index is not ours any more.
   */
  async listDirty(options: { signal: AbortSignal }): Promise<{ entries: RawDiffEntry[]; complaints: boolean }> {
    const args = ["diff-files", "-z", "--raw", "--no-abbrev", "--no-renames", "--ignore-submodules=dirty"];
    const result = await this.git(args, options);
    if (result.code !== 0) throw gitFailed(args, result);
    const entries = parseRawDiff(result.stdout);
    const ours = entries.some(({ path }) => path === this.#marker);
    if (!ours) throw new Error("the private index is not the one we wrote");
    return { entries: entries.filter(({ path }) => !this.isMarker(path)), complaints: result.stderr !== "" };
  }

  /**
   * Returns the files that are neither in the index nor ignored. A nested repository is one path that ends in a slash.
   * `complaints`: some directories could not be read.
   */
  async listOthers(options: { signal: AbortSignal }): Promise<{ paths: RawPath[]; complaints: boolean }> {
    const args = ["ls-files", "-z", "--others", "--exclude-standard"];
    const result = await this.git(args, options);
    if (result.code !== 0) throw gitFailed(args, result);
    return { paths: splitPaths(result.stdout), complaints: result.stderr !== "" };
  }

  /** Returns which of the paths are ignored. Undefined: git could not tell, as for a path behind a symbolic link. */
  async listIgnored(paths: Iterable<RawPath>, options: { signal: AbortSignal }): Promise<RawPath[] | undefined> {
    // The "./" keeps a name such as ":(top)" from being taken for a pattern.
    const input = joinPaths([...paths].map((path) => `./${path}`));
    if (input.length === 0) return [];
    const result = await this.git(["check-ignore", "-z", "--stdin", "--no-index"], { ...options, input });
    return result.code === 0 || result.code === 1 ? splitPaths(result.stdout).map((path) => path.slice(2)) : undefined;
  }

  /** Edits the index: takes paths out of it, puts submodules' commits and directories' markers into it. */
  async edit(options: {
    forget?: Iterable<RawPath>;
    links?: Iterable<readonly [RawPath, string]>;
    mark?: Iterable<RawPath>;
    signal: AbortSignal;
  }): Promise<void> {
    const { idLength, emptyBlob } = OBJECT_FORMATS[this.base.objectFormat];
    let text = "";
    for (const path of options.forget ?? []) text += `0 ${"0".repeat(idLength)}\t${path}\0`;
    for (const [path, commitId] of options.links ?? []) text += `${GITLINK} ${commitId}\t${path}\0`;
    for (const directory of options.mark ?? []) text += `100644 ${emptyBlob}\t${directory}${this.#marker}\0`;
    if (text === "") return;
    await this.write(EDIT_FLAGS, { input: Buffer.from(text, "latin1"), signal: options.signal });
  }

  /** Returns how much can be staged with certainty, however badly it compresses. */
  async room(): Promise<Room> {
    const { bytes, files } = await roomIn(this.scanDirectory);
    return { bytes: Math.min(bytes * 0.8, MAX_BYTES_PER_READ), files: files * 0.8 - OBJECT_DIRECTORIES };
  }

  /** Commit that the work tree is compared with. Empty: none. */
  get startCommitId(): string {
    return this.base.commitId;
  }

  /** Id of the tree without entries. */
  get emptyTree(): string {
    return OBJECT_FORMATS[this.base.objectFormat].emptyTree;
  }

  /** Returns the entry for a path that is in the index and not in the work tree. */
  goneEntry(entry: RawDiffEntry): RawDiffEntry {
    return { ...entry, newMode: ABSENT, newId: "0".repeat(OBJECT_FORMATS[this.base.objectFormat].idLength) };
  }

  /** Returns whether the path is one of the index's markers. */
  isMarker(path: RawPath): boolean {
    return path.endsWith(this.#marker);
  }

  /**
   * Runs a git command that writes the index. Throws GIT_FAILED. It must run in the work tree: git looks again, by
   * relative paths, at files that may have changed in the second of the last writing.
   */
  async write(args: readonly string[], options: GitOptions): Promise<void> {
    this.writeCount++;
    const result = await this.git(args, options);
    if (result.code !== 0) throw gitFailed(args, result);
  }

  /** Runs git in the work tree and returns how it ended. */
  git(args: readonly string[], options: GitOptions, place = this.place): Promise<RunResult> {
    const inWorkTree = ["-C", this.workTree, ...args];
    return this.unblocked(options.signal, (signal) => tryGit(place, inWorkTree, { ...options, signal }));
  }

  /** Runs a shell script in the index's place and returns how it ended. */
  script(script: Script, args: readonly string[], options: GitOptions): Promise<RunResult> {
    return this.unblocked(options.signal, (signal) => tryShell(this.place, script, args, { ...options, signal }));
  }

  /** Runs work that reads the work tree, and does not let a named pipe hang it: see withoutBlocking. */
  unblocked<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return withoutBlocking(this.ownerPlace, this.workTree, signal, work);
  }
}
