import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { sizeDelimitedEncode } from "@bufbuild/protobuf/wire";
import { CommitsRecordSchema, MAX_COMMIT_REFS, MAX_COMMITS, MAX_COMMITS_BYTES } from "../../proto/index.ts";
import { DIFF_FORMAT, readDiff } from "./change-diff.ts";
import { git, type GitPlace } from "./git.ts";

/** Name of the ref for what is checked out in the work tree. */
export const HEAD_REF = "head";
const MAX_NAME_CHARS = 40;

/** Ref to bring along, and what it is looked for with. */
export interface BundledRef {
  /** Name of it in words of any kind. */
  name: string;
  commitId: string;
  /** Commits that are not Claude's: neither they nor what they contain is brought along. */
  foreign: readonly string[];
  emptyTree: string;
}

/** Bundle of Claude's commits: the artifact KIND_COMMITS. A ref is in it with all commits that it needs, or not at all. */
export class CommitBundle {
  readonly #records: Uint8Array[] = [];
  readonly #ids = new Set<string>();
  readonly #names = new Set<string>();
  #bytes = 0;

  /**
   * Adds a ref, and returns the name that it has got. Empty: there is no room for it, or it is not Claude's. Throws if some of
   * it cannot be read. Nothing is added then.
   */
  async add(
    place: GitPlace,
    { name: wanted, commitId, foreign, emptyTree }: BundledRef,
    { signal }: { signal: AbortSignal },
  ): Promise<string> {
    if (this.#names.size >= MAX_COMMIT_REFS) return "";
    const flags = ["--topo-order", "--reverse", `--max-count=${MAX_COMMITS + 1}`, "--ignore-missing", "--stdin"];
    const input = [commitId, ...foreign.map((id) => `^${id}`), ""].join("\n");
    const list = (await git(place, ["rev-list", ...flags], { input, signal })).toString("latin1").split("\n");
    const own = list.slice(0, -1);
    const missing = own.filter((id) => !this.#ids.has(id));
    if (own.at(-1) !== commitId || own.length > MAX_COMMITS || this.#ids.size + missing.length > MAX_COMMITS) return "";
    const records: Uint8Array[] = [];
    let room = MAX_COMMITS_BYTES - this.#bytes;
    const keep = (record: Uint8Array): boolean => {
      records.push(record);
      return (room -= record.length) >= 0;
    };
    const objects = await readCommits(place, missing, { maxOutputBytes: room + 200 * missing.length, signal });
    for (const [at, object] of objects.entries()) {
      const from = parentsIn(object)[0] ?? emptyTree;
      const args = ["diff-tree", "-r", "--no-renames", ...DIFF_FORMAT, from, missing[at]!];
      // The list of the files comes before the patch.
      const output = await git(place, args, { signal, maxOutputBytes: 2 * room + 65_536 });
      const { patch } = await readDiff(output, { patch: true, sizeOf: () => 0 });
      if (!keep(encode({ case: "commit", value: { object, patch } }))) return "";
    }
    const name = this.#freeName(wanted);
    if (!keep(encode({ case: "ref", value: { name, commitId } }))) return "";
    this.#names.add(name);
    for (const id of missing) this.#ids.add(id);
    this.#records.push(...records);
    this.#bytes = MAX_COMMITS_BYTES - room;
    return name;
  }

  /** Returns the bytes of the artifact. Empty: there are no commits. */
  bytes(): Buffer {
    return Buffer.concat(this.#records);
  }

  #freeName(wanted: string): string {
    const plain = wanted.toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(-MAX_NAME_CHARS).replace(/^-|-$/g, ""); // prettier-ignore
    const name = plain === "" ? "ref" : plain;
    for (let count = 1; ; count++) {
      const free = count === 1 ? name : `${name}-${count}`;
      if (!this.#names.has(free) && (free !== HEAD_REF || wanted === HEAD_REF)) return free;
    }
  }
}

function encode(record: NonNullable<MessageInitShape<typeof CommitsRecordSchema>["record"]>): Uint8Array {
  return sizeDelimitedEncode(CommitsRecordSchema, create(CommitsRecordSchema, { record }));
}

/** Returns the commit objects with these ids, in their order. */
async function readCommits(
  place: GitPlace,
  ids: readonly string[],
  options: { maxOutputBytes: number; signal: AbortSignal },
): Promise<Buffer[]> {
  if (ids.length === 0) return [];
  const output = await git(place, ["cat-file", "--batch"], { ...options, input: `${ids.join("\n")}\n` });
  let at = 0;
  return ids.map((id) => {
    const end = output.indexOf(10, at);
    const [found, type, size] = output.toString("latin1", at, end).split(" ");
    if (found !== id || type !== "commit") throw new Error(`${id} is no commit`);
    const start = end + 1;
    at = start + Number(size) + 1;
    return output.subarray(start, at - 1);
  });
}

/** What the object says, and not what a file beside it makes of it. */
function parentsIn(object: Buffer): string[] {
  const end = object.indexOf("\n\n");
  const header = object.toString("latin1", 0, end < 0 ? object.length : end);
  return [...header.matchAll(/^parent ([0-9a-f]+)$/gm)].map(([, id = ""]) => id);
}
