import { randomBytes } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import {
  AppError,
  type FileChange,
  type IgnoredFiles,
  type LeftOut,
  MAX_PATCH_BYTES,
  quotePath,
  type RawPath,
  type SkippedFilter,
  SkippedFilterSchema,
} from "../../proto/index.ts";
import type { Identity } from "../process/identity.ts";
import { diffFiles, patchApplies } from "./change-diff.ts";
import { REMOVE, type Script, shell } from "./git.ts";
import { countIgnored } from "./ignored-files.ts";
import { reasonsFor } from "./left-out.ts";
import { PrivateIndex, type PrivateIndexOptions } from "./private-index.ts";
import type { RawDiffEntry } from "./raw-diff.ts";
import { listChangedSubmodules } from "./submodule.ts";
import { together } from "./together.ts";
import { readChanges } from "./tree-changes.ts";
import { writeTree } from "./write-tree.ts";

/** Applying a patch takes several times its size. */
const MAX_CHECKED_PATCH_BYTES = 32 * 1024 * 1024;

/**
 * Lets another user read all that the session's can, and make an index of its own: git runs as somebody that Claude never
 * was. $1 work tree, $2 scan directory, $3 the directory of that index.
 */
const OPEN_UP: Script = {
  name: "chmod",
  text: `set -e
[ -d "$1" ] || mkdir -p -- "$1"
chmod u+rwx,o+rx -- "$1" || :
find "$1/" -mindepth 1 "(" -type d -readable -executable ! -perm -o=rx -o -type f -readable ! -perm -o=r ")" \\
  -exec chmod o+rX -- {} + || :
chmod o+x -- "$2"
mkdir -m 777 -- "$3"`,
};
/** Claude may ask for any number of filters. */
const MAX_FILTERS = 10;
const MAX_FILTER_NAME_CHARS = 100;
const MAX_EXAMPLE_CHARS = 1000;

/** Changes of a session, as they are collected from its work tree. */
export interface Collected {
  /** Every file that differs from the start commit. */
  changes: FileChange[];
  /** Unified diff against the start commit, for git apply. */
  patch: Buffer;
  /** Tree that the patch makes of the start commit's. */
  treeId: string;
  /** Commit that Claude's repository has checked out. Empty: it does not say. */
  headCommitId: string;
  /** Paths that are not in the patch, quoted as git does. */
  unreadablePaths: string[];
  /** Files that are not in the encoding which their attributes name. They are in the patch as they are. */
  unconvertedPaths: string[];
  /** Filters of attributes that were not run, the most frequent ones. */
  skippedFilters: SkippedFilter[];
  /** Reason for each of the unreadable paths, in their order. */
  unreadableReasons: LeftOut[];
  /** New files that git ignores. Undefined: not known. */
  ignoredFiles: IgnoredFiles | undefined;
  /** Differences of the work tree from the start commit, without renames. */
  entries: readonly RawDiffEntry[];
  /** Other checkouts of the same repository in the work tree. */
  checkouts: readonly RawPath[];
  /** Files that have another content in Claude's index than in the work tree. */
  staged: readonly RawDiffEntry[];
  /** Whether the patch may lack files: not all that Claude's repository tracks could be read. */
  incomplete: boolean;
  /** Whether some files did not fit into the scan directory. */
  crowded: boolean;
}

/** Error PATCH_TOO_LARGE, with everything but the patch. */
export class PatchTooLargeError extends AppError {
  /** Changes without their patch. */
  readonly collected: Collected;

  constructor(collected: Collected, cause: unknown) {
    super("PATCH_TOO_LARGE", `The patch of ${collected.changes.length} files has more than ${MAX_PATCH_BYTES} bytes.`, {
      help: "Have large generated files ignored with .gitignore.",
      metadata: { change_count: String(collected.changes.length), limit_bytes: String(MAX_PATCH_BYTES) },
      cause,
    });
    this.collected = collected;
  }
}

/** Work tree to collect from, and who compares it. */
export interface CollectOptions extends Omit<PrivateIndexOptions, "copied" | "name" | "owner"> {
  /** User that compares, once nothing of the session runs any more. Default: the session's own. */
  finalIdentity?: Identity | undefined;
  /** Most bytes of the patch. Default: MAX_PATCH_BYTES. */
  maxPatchBytes?: number;
}

/**
 * Compares the work tree with the start commit from nothing: every file is read, and no earlier scan is believed. The
 * result is exact once no process of the session is left; before, files may change while they are read. Throws
 * PatchTooLargeError.
 */
export async function collectChanges({ finalIdentity, ...options }: CollectOptions): Promise<Collected> {
  const { signal, scanDirectory, workTree, identity } = options;
  const name = `collect-${randomBytes(8).toString("hex")}`;
  if (finalIdentity === undefined) return await collectWith({ ...options, name });
  const directory = `${scanDirectory}/${name}`;
  await shell({ identity }, OPEN_UP, [workTree, scanDirectory, directory], { signal });
  try {
    const place = { identity: finalIdentity, owner: identity, scanDirectory: directory, name: "index" };
    return await collectWith({ ...options, ...place });
  } finally {
    await shell({ identity }, REMOVE, [directory], { signal: AbortSignal.timeout(10_000) }).catch(() => undefined);
  }
}

async function collectWith(options: PrivateIndexOptions & { maxPatchBytes?: number }): Promise<Collected> {
  const { signal } = options;
  const index = await PrivateIndex.create(options);
  try {
    const { entries, unreadable, unconverted, checkouts, staged } = await readChanges(index, { still: true, signal });
    const { directory, emptyTree } = index;
    const diff = { directory, emptyTree, maxPatchBytes: options.maxPatchBytes ?? MAX_PATCH_BYTES };
    const compare = async (patch: boolean, signal: AbortSignal) => {
      const options = { ...diff, signal };
      const diffed = await diffFiles(index.place, entries, { ...options, patch, renames: true });
      if (!patch || diffed.files.every(({ entry }) => entry.oldPath === entry.path)) return diffed;
      const small = diffed.patch.length <= MAX_CHECKED_PATCH_BYTES;
      if (small && (await patchApplies(index.place, directory, diffed.patch, { signal }))) return diffed;
      // Without renames every patch applies.
      return await diffFiles(index.place, entries, { ...options, patch, renames: false });
    };
    const collect = async (patch: boolean): Promise<Collected> => {
      const result = { start: options.base.commitId, entries, indexFile: `${directory}/result` };
      // Most of it is the starts of processes, and none needs what another one finds.
      const [diffed, changed, ignoredFiles, { headCommitId, incomplete }, treeId, filters] = await together(
        signal,
        (signal) => [
          compare(patch, signal),
          listChangedSubmodules(index, { signal }),
          countIgnored(index, { signal }),
          index.readClaims({ signal }),
          writeTree(index.place, { ...result, signal }),
          index.attributes.listFilters({ signal }),
        ],
      );
      const changes = diffed.files.map(({ change }) => change);
      const leftOut = [...new Set([...unreadable, ...changed])].sort();
      const unreadableReasons = await reasonsFor(index, leftOut, { submodules: new Set(changed), signal });
      const unreadablePaths = leftOut.map(quotePath);
      const unconvertedPaths = unconverted.map(quotePath);
      // What has its content is as the work tree is to have it.
      for (const path of [...index.givenLargeFiles, ...(index.givenLargeFiles.size > 0 ? index.added : [])]) {
        if (filters.get(path) === "lfs") filters.delete(path);
      }
      const skippedFilters = countFilters(filters);
      const leftOutOfIt = { unreadablePaths, unreadableReasons, ignoredFiles };
      const asItIs = {
        unconvertedPaths,
        skippedFilters,
        entries,
        checkouts,
        staged,
        incomplete,
        crowded: index.crowded,
      };
      return { changes, patch: diffed.patch, treeId, headCommitId, ...leftOutOfIt, ...asItIs };
    };
    try {
      return await collect(true);
    } catch (error) {
      if (!(error instanceof AppError) || error.reason !== "OUTPUT_TOO_LARGE") throw error;
      throw new PatchTooLargeError(await collect(false), error);
    }
  } finally {
    // Also after an abort: what is left in the scan directory is memory. Not worth losing the result for.
    await index.dispose({ signal: AbortSignal.timeout(10_000) }).catch(() => undefined);
  }
}

/** The most frequent ones. */
function countFilters(filters: ReadonlyMap<RawPath, string>): SkippedFilter[] {
  const byName = Map.groupBy(filters, ([, name]) => name);
  return [...byName]
    .sort(([, a], [, b]) => b.length - a.length)
    .slice(0, MAX_FILTERS)
    .map(([name, files]) =>
      create(SkippedFilterSchema, {
        name: quotePath(name).slice(0, MAX_FILTER_NAME_CHARS),
        fileCount: files.length,
        examplePath: quotePath(files[0]?.[0] ?? "").slice(0, MAX_EXAMPLE_CHARS),
      }),
    );
}
