import { createHash } from "node:crypto";
import { fromBinary } from "@bufbuild/protobuf";
import { sizeDelimitedPeek } from "@bufbuild/protobuf/wire";
import {
  AppError,
  asAppError,
  type CommitsRecord,
  type CommitsRecord_Commit,
  type CommitsRecord_Ref,
  CommitsRecordSchema,
  MAX_COMMIT_REFS,
  MAX_COMMITS,
} from "../../proto/index.ts";
import { binaryBytes } from "./binary-sizes.ts";
import { type ParsedCommit, parseCommit, writeCommit } from "./commit-object.ts";
import { gitLine, tryGit } from "./git.ts";
import { MAX_BINARY_BYTES, rebuildTree } from "./rebuild-tree.ts";
import type { Scratch } from "./scratch.ts";

/** All commits together. */
const REBUILD_TIMEOUT_MS = 300_000;
const NAME = /^[a-z0-9][a-z0-9-]{0,59}$/;

/** Ref of Claude's, whose commits have been made anew. */
export interface BroughtRef {
  name: string;
  commitId: string;
  treeId: string;
  /** True: it is the very commit that Claude made. False: its names, message or signature were cleaned, or a parent's. */
  sameId: boolean;
  /** Commits of Claude's that it contains. */
  commitCount: number;
}

/** Commits of Claude's, made anew in a scratch repository. */
export interface BroughtCommits {
  refs: BroughtRef[];
  /** Refs whose commits stand on one that is not here, with its id. */
  missing: { name: string; parentId: string }[];
}

/** A commit as it is here: made anew, or not possible for want of a parent. */
type Made = { parsed: ParsedCommit; commitId: string } | { parsed: ParsedCommit; missingId: string };

/**
 * Makes Claude's commits anew, from the artifact KIND_COMMITS: each tree from its parent's and its patch, in an index of the
 * scratch repository, and each commit from what is plain in its object. Nothing is checked out, and no object of the
 * container is taken. Throws COMMITS_INVALID if a commit is not what it says of itself, or may not be applied.
 */
export async function rebuildCommits(
  scratch: Scratch,
  artifact: Uint8Array,
  { objectFormat, ...options }: { objectFormat: string; signal: AbortSignal },
): Promise<BroughtCommits> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(REBUILD_TIMEOUT_MS)]);
  const rebuilding = new Rebuilding(scratch, { objectFormat, signal });
  for (const { record } of recordsIn(artifact)) {
    if (record.case === "commit") await rebuilding.addCommit(record.value);
    else if (record.case === "ref") rebuilding.addRef(record.value);
  }
  return { refs: rebuilding.refs, missing: rebuilding.missing };
}

class Rebuilding {
  readonly refs: BroughtRef[] = [];
  readonly missing: BroughtCommits["missing"] = [];
  readonly #scratch: Scratch;
  readonly #options: { objectFormat: string; signal: AbortSignal };
  readonly #made = new Map<string, Made>();
  readonly #names = new Set<string>();
  #binaryBytes = 0;

  constructor(scratch: Scratch, options: { objectFormat: string; signal: AbortSignal }) {
    this.#scratch = scratch;
    this.#options = options;
  }

  async addCommit({ object, patch }: CommitsRecord_Commit): Promise<void> {
    const { objectFormat, signal } = this.#options;
    const theirId = createHash(objectFormat).update(`commit ${object.length}\0`).update(object).digest("hex");
    if (this.#made.size >= MAX_COMMITS) throw invalid(`there are more than ${MAX_COMMITS}`);
    const parsed = parseCommit(object);
    if (parsed === undefined) throw invalid(`${theirId} is no commit`);
    this.#binaryBytes += binaryBytes(patch);
    if (this.#binaryBytes > MAX_BINARY_BYTES) {
      throw invalid(`the binary files of their patches come to more than ${MAX_BINARY_BYTES} bytes`);
    }
    const parentIds: string[] = [];
    for (const id of parsed.parentIds) {
      const parent = await this.#commitHere(id);
      if ("missingId" in parent) {
        this.#made.set(theirId, { parsed, missingId: parent.missingId });
        return;
      }
      parentIds.push(parent.commitId);
    }
    const place = this.#scratch.place();
    const { treeId } = parsed;
    const from =
      parentIds[0] === undefined
        ? await gitLine(place, ["mktree"], { signal, input: "" })
        : await gitLine(place, ["rev-parse", "--verify", `${parentIds[0]}^{tree}`], { signal });
    await rebuildTree(this.#scratch, from, { patch, treeId }, { signal }).catch((cause: unknown) => {
      signal.throwIfAborted();
      throw invalid(`${theirId.slice(0, 12)}: ${asAppError(cause).message}`, cause);
    });
    const input = writeCommit({ ...parsed, parentIds });
    const commitId = await gitLine(place, ["hash-object", "-t", "commit", "-w", "--stdin"], { signal, input });
    this.#made.set(theirId, { parsed, commitId });
  }

  addRef({ name, commitId: theirId }: CommitsRecord_Ref): void {
    if (!NAME.test(name) || this.#names.has(name)) throw invalid("a ref's name is not as it must be");
    if (this.#names.size >= MAX_COMMIT_REFS) throw invalid(`there are more than ${MAX_COMMIT_REFS} refs`);
    this.#names.add(name);
    const made = this.#made.get(theirId);
    if (made === undefined) throw invalid(`the commit of ${name} is not among them`);
    if ("missingId" in made) {
      this.missing.push({ name, parentId: made.missingId });
      return;
    }
    const { commitId, parsed } = made;
    const commitCount = this.#countFrom(theirId);
    this.refs.push({ name, commitId, treeId: parsed.treeId, sameId: commitId === theirId, commitCount });
  }

  /** Finds a parent: one that was made before, or one that the user's repository or a store of ours has. */
  async #commitHere(id: string): Promise<{ commitId: string } | { missingId: string }> {
    const made = this.#made.get(id);
    if (made !== undefined) return made;
    const args = ["rev-parse", "--verify", "--quiet", `${id}^{commit}`];
    const found = await tryGit(this.#scratch.place(), args, { signal: this.#options.signal });
    // A tag of a commit is no parent.
    return found.stdout.toString().trim() === id ? { commitId: id } : { missingId: id };
  }

  #countFrom(tip: string): number {
    const seen = new Set<string>();
    const pending = [tip];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const made = this.#made.get(next);
      if (made === undefined || seen.has(next)) continue;
      seen.add(next);
      pending.push(...made.parsed.parentIds);
    }
    return seen.size;
  }
}

function* recordsIn(artifact: Uint8Array): Generator<CommitsRecord> {
  for (let at = 0; at < artifact.length;) {
    const rest = artifact.subarray(at);
    let record: CommitsRecord;
    try {
      const { size, offset } = sizeDelimitedPeek(rest);
      if (size === null || offset + size > rest.length) throw new Error("it ends in the middle");
      record = fromBinary(CommitsRecordSchema, rest.subarray(offset, offset + size));
      at += offset + size;
    } catch (cause) {
      throw invalid("they cannot be read", cause);
    }
    yield record;
  }
}

function invalid(why: string, cause?: unknown): AppError {
  return new AppError("COMMITS_INVALID", `The session's commits are not to be taken: ${why}.`, {
    metadata: { why },
    help: "Its files can be taken without them: leave --commits out.",
    cause,
  });
}
