import { gitFailed, joinPaths, type RawPath } from "../../proto/index.ts";
import type { Claims } from "./claims.ts";
import { git, type GitPlace, type Script } from "./git.ts";
import type { IndexFile } from "./index-file.ts";
import { parseRawDiff, type RawDiffEntry } from "./raw-diff.ts";
import { throwIfFull } from "./room.ts";

/** How often staging narrows down which file git cannot take, before the rest counts as such. */
const MAX_STAGE_ATTEMPTS = 1000;

const STAGE_FLAGS = ["update-index", "-z", "--add", "--remove", "--replace", "--stdin"];
const DIFF_FLAGS = ["diff-index", "--cached", "-z", "--raw", "--no-abbrev", "--no-renames"];
/** Both in one: each start of a process from Node costs more than the process. $1 work tree, $2 start tree. */
const STAGE_AND_DIFF: Script = {
  name: "update-index",
  text: `git -C "$1" ${STAGE_FLAGS.join(" ")} && exec git ${DIFF_FLAGS.join(" ")} "$2"`,
};

/** Staging of files' content into an index. */
export class Staging {
  /** Files that are in the index as they are: they are not in the encoding that their attributes name. */
  unconverted = new Set<RawPath>();
  /** The ids of the contents for which files have been normalized. */
  #normalized = new Map<RawPath, string>();
  /** What the index holds differs so from the start commit, as long as nothing has written it since. */
  #diff: { entries: RawDiffEntry[]; writeCount: number } | undefined;
  readonly #index: IndexFile;

  constructor(index: IndexFile) {
    this.#index = index;
  }

  /**
   * Puts the content of files into the index. Returns how the index differs from the start commit then, and the files
   * that git could not read. Throws WORKSPACE_FULL.
   */
  async stage(
    paths: readonly RawPath[],
    options: { signal: AbortSignal },
  ): Promise<{ entries: RawDiffEntry[]; failed: RawPath[] }> {
    for (const path of paths) this.unconverted.delete(path);
    const known = this.#diff?.writeCount === this.#index.writeCount ? this.#diff : undefined;
    if (paths.length === 0 && known !== undefined) return { entries: known.entries, failed: [] };
    const { place, rawPlace, workTree, base } = this.#index;
    // It may be cut off between the two.
    this.#diff = undefined;
    const result = await this.#index.script(STAGE_AND_DIFF, [workTree, base.treeId], {
      ...options,
      input: joinPaths(paths),
    });
    let failed: RawPath[] = [];
    let output = result.stdout;
    if (result.code !== 0) {
      const hard = await this.#stageByHalves(paths, place, options);
      failed = await this.#stageByHalves(hard, rawPlace, options);
      for (const path of hard) if (!failed.includes(path)) this.unconverted.add(path);
      output = await git(place, [...DIFF_FLAGS, base.treeId], options);
    }
    const entries = parseRawDiff(output).filter(({ path }) => !this.#index.isMarker(path));
    this.#diff = { entries, writeCount: this.#index.writeCount };
    return { entries, failed };
  }

  /**
   * Puts files that look unchanged into the index, as git add --renormalize does, if Claude's repository says that they
   * are changed: git does not convert by itself what was committed in another form. Returns whether there were any.
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
    await this.#index.git(args, { signal: options.signal, input });
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
    await this.#index.write(["update-index", "--force-write-index"], options);
    const failed: RawPath[] = [];
    const pending: (readonly RawPath[])[] = [paths];
    for (let attempt = 0, batch = pending.pop(); batch !== undefined; attempt++, batch = pending.pop()) {
      if (attempt >= MAX_STAGE_ATTEMPTS) {
        failed.push(...batch);
        continue;
      }
      const result = await this.#index.git(STAGE_FLAGS, { ...options, input: joinPaths(batch) }, place);
      if (result.code === 0) continue;
      await throwIfFull([{ directory: this.#index.scanDirectory, use: "scan" }], gitFailed(STAGE_FLAGS, result));
      if (batch.length === 1) failed.push(...batch);
      else pending.push(batch.slice(0, batch.length >> 1), batch.slice(batch.length >> 1));
    }
    return failed;
  }
}
