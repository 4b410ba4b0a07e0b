import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { joinPaths, pathIn, type RawPath, splitPaths } from "../../proto/index.ts";
import { git, gitLine, type GitOptions, type GitPlace } from "./git.ts";
import type { LocatedRepository } from "./locate.ts";
import type { TreeEntry } from "./synthetic-commits.ts";
import { EXECUTABLE } from "./tree-diff.ts";

/** A file that looks like a pointer is one: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md */
const POINTER = "version https://git-lfs.github.com/spec/v1\n";
const MAX_POINTER_BYTES = 1024;

/** Configuration that turns off the filter of Git LFS, which writes into the user's repository. Pointers are made here. */
export const LFS_OFF = { "filter.lfs.clean": "", "filter.lfs.process": "", "filter.lfs.required": "false" };

/** Returns the files among `paths` that Git LFS keeps, by their attributes. */
export async function findLargeFiles(
  place: GitPlace,
  paths: readonly RawPath[],
  options: GitOptions,
): Promise<Set<RawPath>> {
  if (paths.length === 0) return new Set();
  const fields = splitPaths(
    await git(place, ["check-attr", "-z", "--stdin", "filter"], { ...options, input: joinPaths(paths) }),
  );
  const found = new Set<RawPath>();
  for (let at = 0; at + 2 < fields.length; at += 3) if (fields[at + 2] === "lfs") found.add(fields[at]!);
  return found;
}

/** Returns all tracked files that Git LFS keeps. Empty if LFS was never used in the repository. */
export async function listTrackedLargeFiles(
  place: GitPlace,
  located: LocatedRepository,
  options: GitOptions,
): Promise<RawPath[]> {
  const used =
    located.git !== undefined &&
    (await stat(join(located.git.commonDirectory, "lfs")).then(
      (facts) => facts.isDirectory(),
      () => false,
    ));
  return used ? splitPaths(await git(place, ["ls-files", "-z", "--", ":(attr:filter=lfs)"], options)) : [];
}

/** Writes LFS pointers for files of a work tree as blobs, and returns them by path. A file that is gone has none. */
export async function writePointers(
  writing: GitPlace,
  root: string,
  paths: Iterable<RawPath>,
  { signal }: { signal: AbortSignal },
): Promise<Map<RawPath, TreeEntry>> {
  const entries = new Map<RawPath, TreeEntry>();
  for (const path of paths) {
    const file = pathIn(root, path);
    try {
      const facts = await lstat(file);
      if (!facts.isFile()) continue;
      const input = await pointerOf(file, facts.size, signal);
      const id = await gitLine(writing, ["hash-object", "-w", "--no-filters", "--stdin"], { signal, input });
      entries.set(path, { mode: (facts.mode & 0o100) === 0 ? "100644" : EXECUTABLE, id });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  return entries;
}

async function pointerOf(file: Buffer, size: number, signal: AbortSignal): Promise<Buffer> {
  if (size < MAX_POINTER_BYTES) {
    const content = await readFile(file);
    if (content.length === 0 || content.toString("latin1").startsWith(POINTER)) return content;
  }
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of createReadStream(file, { signal }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return Buffer.from(`${POINTER}oid sha256:${hash.digest("hex")}\nsize ${bytes}\n`);
}
