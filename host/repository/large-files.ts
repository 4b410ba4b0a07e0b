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
export const LFS_OFF = {
  "filter.lfs.clean": "",
  "filter.lfs.smudge": "",
  "filter.lfs.process": "",
  "filter.lfs.required": "false",
};

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
      entries.set(path, { mode: modeOf(facts), id });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  return entries;
}

/** Files of Git LFS as a snapshot takes them. */
export interface LargeFiles {
  /** Files whose content is in the work tree and goes in, as blobs. */
  contents: Map<RawPath, TreeEntry>;
  /** Size of these. */
  bytes: number;
  /** Files that stay pointers: their content is not here, or above a limit. */
  pointers: { path: RawPath; bytes: number }[];
}

/** Writes what lies in the work tree of files of Git LFS as blobs, as far as the limits go. The largest stay pointers. */
export async function writeContents(
  writing: GitPlace,
  root: string,
  paths: Iterable<RawPath>,
  { limits, signal }: { limits: { fileBytes: number; totalBytes: number }; signal: AbortSignal },
): Promise<LargeFiles> {
  const large: LargeFiles = { contents: new Map(), bytes: 0, pointers: [] };
  const found: { path: RawPath; mode: string; bytes: number }[] = [];
  for (const path of paths) {
    const facts = await lstat(pathIn(root, path)).catch(() => undefined);
    if (facts?.isFile() !== true) continue;
    found.push({ path, mode: modeOf(facts), bytes: facts.size });
  }
  for (const { path, mode, bytes } of found.sort((a, b) => a.bytes - b.bytes || (a.path < b.path ? -1 : 1))) {
    const fits = bytes <= limits.fileBytes && large.bytes + bytes <= limits.totalBytes;
    const content = fits ? await readFile(pathIn(root, path)).catch(() => undefined) : undefined;
    // Nothing is its own pointer.
    if (content?.length === 0) continue;
    if (content === undefined || isPointer(content)) large.pointers.push({ path, bytes });
    else {
      const options = { signal, input: content };
      const id = await gitLine(writing, ["hash-object", "-w", "--no-filters", "--stdin"], options);
      large.contents.set(path, { mode, id });
      large.bytes += bytes;
    }
  }
  return large;
}

function modeOf({ mode }: { mode: number }): string {
  return (mode & 0o100) === 0 ? "100644" : EXECUTABLE;
}

function isPointer(content: Buffer): boolean {
  return content.length < MAX_POINTER_BYTES && (content.length === 0 || content.toString("latin1").startsWith(POINTER));
}

/** Returns the pointer for content that is a blob. A pointer is its own. */
export async function pointerFor(place: GitPlace, id: string, { signal }: { signal: AbortSignal }): Promise<string> {
  const content = await git(place, ["cat-file", "blob", id], { signal });
  if (isPointer(content)) return id;
  const oid = createHash("sha256").update(content).digest("hex");
  const input = `${POINTER}oid sha256:${oid}\nsize ${content.length}\n`;
  return await gitLine(place, ["hash-object", "-w", "--stdin"], { signal, input });
}

async function pointerOf(file: Buffer, size: number, signal: AbortSignal): Promise<Buffer> {
  if (size < MAX_POINTER_BYTES) {
    const content = await readFile(file);
    if (isPointer(content)) return content;
  }
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of createReadStream(file, { signal }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return Buffer.from(`${POINTER}oid sha256:${hash.digest("hex")}\nsize ${bytes}\n`);
}
