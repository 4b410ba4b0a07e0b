import { parentsOf, type RawPath } from "../../proto/index.ts";
import { type PathFact, findClosedDirectories, lookAt } from "./path-facts.ts";
import { MAX_FILE_BYTES } from "./large-files.ts";
import type { PrivateIndex } from "./private-index.ts";
import { ABSENT, GITLINK, type RawDiffEntry } from "./raw-diff.ts";
import { findOwnCheckouts } from "./own-checkouts.ts";
import { findSubmodules } from "./submodule.ts";
import { together } from "./together.ts";

/** What a file takes besides its bytes: a block, an inode. */
const BYTES_PER_FILE = 4096;
/** Repositories in repositories in repositories. */
const MAX_NESTING = 30;

/** Differences of the work tree from the start commit. */
export interface TreeChanges {
  /** Difference of each file, in git's order. */
  entries: RawDiffEntry[];
  /** Paths that could not be read, are too large, or have a name that git refuses. */
  unreadable: readonly RawPath[];
  /** Other checkouts of the same repository, with a slash at the end. Their files are not this work tree's. */
  checkouts: readonly RawPath[];
  /** Files that have another content in Claude's index than in the work tree, if the work tree's could be read. */
  staged: readonly RawDiffEntry[];
  /** Files that are not in the encoding which their attributes name, and are taken as they are. */
  unconverted: readonly RawPath[];
  /** Value that changes when .gitattributes files differ in another way. Everything has to be read again then. */
  attributes: string;
}

/**
 * Brings the index up to date with the work tree and returns how that differs from the start commit. `still`: nobody
 * changes the work tree meanwhile, so a file that disappears is one that cannot be read.
 */
export async function readChanges(
  index: PrivateIndex,
  options: { still: boolean; signal: AbortSignal },
): Promise<TreeChanges> {
  const { still, signal } = options;
  const unreadable = new Set<RawPath>();
  const claims = await index.readClaims({ signal });
  const submodules = await findSubmodules(index, claims, { signal });
  await index.placeSubmodules(submodules.places, { signal });
  const placed = new Set(index.placedSubmodules);
  const [dirty, listed, ignored] = await together(signal, (signal) => [
    index.listDirty({ signal }),
    index.listOthers({ signal }),
    index.listIgnored(index.added, { signal }),
  ]);
  // What was new and is ignored by now counts no more, unless Claude has added it all the same. Where git cannot say,
  // all that was new is looked for again.
  const forget = new Set(ignored?.filter((path) => !claims.added.has(path)) ?? index.added);
  for (const path of placed) forget.delete(path);

  const gone = new Map<RawPath, RawDiffEntry>();
  const modified = new Map<RawPath, RawDiffEntry>();
  for (const entry of dirty.entries) {
    if (placed.has(entry.path)) continue;
    if (entry.newMode === ABSENT) gone.set(entry.path, entry);
    else if (entry.newMode !== GITLINK) modified.set(entry.path, entry);
    else if (entry.oldMode !== GITLINK) gone.set(entry.path, entry); // A repository took the file's place.
  }
  for (const path of forget) modified.delete(path);
  const claimed = [...claims.added].filter((path) => !index.added.has(path) || forget.has(path));
  const facts = await lookAt(
    index.place,
    index.workTree,
    [
      ...[...modified.keys(), ...gone.keys(), ...index.displaced, ...index.held],
      ...listed.paths.filter((path) => !path.endsWith("/")),
      ...claimed,
    ],
    { signal },
  );
  const directories = [...gone.keys()].filter((path) => facts.get(path)?.type === "d");
  let others = listed.paths;
  const checkouts = new Set<RawPath>();
  if (ignored === undefined || directories.length > 0 || others.some((path) => path.endsWith("/"))) {
    await index.edit({ forget, signal });
    others = await listNested(
      index,
      directories.map((path) => `${path}/`),
      { unreadable, checkouts },
      { signal },
    );
    const unseen = others.filter((path) => !facts.has(path));
    for (const [path, fact] of await lookAt(index.place, index.workTree, unseen, { signal })) facts.set(path, fact);
  }

  // Files of the start commit whose place something else had taken: they are tracked, even if they are ignored.
  const returned = [...index.displaced].filter((path) => /[fl]/.test(facts.get(path)?.type ?? ""));
  const tracked = await chooseTracked(index, claimed, facts, { signal });
  const within = (path: RawPath): boolean => parentsOf(path).some((directory) => placed.has(directory));
  const found = [...returned, ...tracked].filter((path) => !within(path));
  const candidates = new Set([...modified.keys(), ...others, ...found]);
  if ([...candidates, ...gone.keys()].some(isAttributes)) index.attributes.noteOthers();
  const staging = await chooseFiles([...candidates], facts, index, {
    still,
    unreadable,
    modified,
    gone,
  });
  for (const path of gone.keys()) if (index.added.has(path)) forget.add(path);
  await index.edit({ forget, signal });
  const staged = await index.staging.stage(staging, { signal });
  for (const path of staged.failed) unreadable.add(path);

  let differing = staged.entries;
  if (index.attributes.exist) {
    const missing = new Set([...gone.keys(), ...unreadable]);
    if (await index.staging.normalize(differing, { claims, missing, signal }))
      differing = (await index.staging.stage([], { signal })).entries;
    const untouched = await index.attributes.listUntouched(differing, { claims, signal });
    differing = differing.filter(({ path }) => !untouched.has(path));
  }
  const known = new Map(staged.entries.map((entry) => [entry.path, entry]));
  const entries = new Map(differing.map((entry) => [entry.path, entry]));
  const absent = differing.filter(({ path, newMode }) => newMode === ABSENT && !index.held.has(path));
  index.displaced = new Set(absent.map(({ path }) => path));
  await noteRefused(
    index,
    staging.filter((path) => !modified.has(path) && !entries.has(path)),
    unreadable,
    { tracked: new Set(tracked), signal },
  );
  for (const [path, entry] of gone) {
    if (!index.added.has(path)) entries.set(path, index.goneEntry(known.get(path) ?? entry));
  }
  for (const path of index.held) {
    if (entries.get(path)?.newMode !== ABSENT || !facts.has(path)) continue;
    entries.delete(path);
    unreadable.add(path);
  }
  for (const [path, oldId] of submodules.removed) {
    const entry = { path, oldPath: path, oldMode: GITLINK, oldId, newMode: ABSENT, newId: "" };
    entries.set(path, index.goneEntry(entry));
  }
  for (const path of leftToIndex(entries, claims.skipped, facts)) entries.delete(path);
  const unseen = claimed.filter((path) => still && !facts.has(path));
  const lost = [...modified.keys(), ...others].some((path) => !facts.has(path));
  if (dirty.complaints || listed.complaints || lost || unseen.length > 0) {
    const closed = await listClosed(index, unseen, { signal });
    const hidden = [...unreadable].filter((path) => closed.some((directory) => path.startsWith(`${directory}/`)));
    for (const path of hidden) unreadable.delete(path);
    for (const directory of closed) unreadable.add(directory);
  }
  const sorted = [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  index.added = new Set(sorted.filter(({ oldMode }) => oldMode === ABSENT).map(({ path }) => path));
  const inIndex = claims.staged.filter(
    ({ path, newId }) => entries.get(path)?.newId !== newId && !unreadable.has(path),
  );
  // There the index has pointers, in the session's own repository.
  const pointers =
    inIndex.length > 0 && index.givenLargeFiles.size > 0
      ? await index.attributes.listFilters({ signal })
      : new Map<RawPath, string>();
  const differs = new Set(sorted.map(({ path }) => path));
  return {
    entries: sorted,
    unreadable: [...unreadable].sort(),
    checkouts: [...checkouts].sort(),
    staged: inIndex.filter(({ path }) => pointers.get(path) !== "lfs"),
    unconverted: [...index.staging.unconverted].filter((path) => differs.has(path)).sort(),
    attributes: sorted.flatMap(({ path, newId }) => (isAttributes(path) ? [`${newId} ${path}`] : [])).join("\0"),
  };
}

/** Returns whether the path is that of a .gitattributes file. */
export function isAttributes(path: RawPath): boolean {
  return /(?:^|\/)\.gitattributes$/.test(path);
}

/**
 * Returns the other files once the index has markers in all nested repositories, whose files count as any other, but
 * for those that are checkouts of the same repository.
 */
async function listNested(
  index: PrivateIndex,
  mark: readonly RawPath[],
  { unreadable, checkouts }: { unreadable: Set<RawPath>; checkouts: Set<RawPath> },
  options: { signal: AbortSignal },
): Promise<RawPath[]> {
  const isOther = (path: RawPath): boolean => !checkouts.has(path);
  let nested = mark;
  for (let round = 0; ; round++) {
    // A submodule of the start borrows the start's objects, too.
    const others = nested.filter((path) => !index.givenSubmodules.has(path.slice(0, -1)));
    for (const path of await findOwnCheckouts(index, others, options)) checkouts.add(path);
    await index.edit({ mark: nested.filter(isOther), ...options });
    const paths = (await index.listOthers(options)).paths.filter(isOther);
    nested = paths.filter((path) => path.endsWith("/"));
    if (nested.length === 0) return paths;
    if (round < MAX_NESTING) continue;
    for (const path of nested) unreadable.add(path.slice(0, -1));
    return paths.filter((path) => !path.endsWith("/"));
  }
}

/** Returns what git is to read; the rest goes into `unreadable`, or, if it is no file any more, into `gone`. */
async function chooseFiles(
  paths: readonly RawPath[],
  facts: ReadonlyMap<RawPath, PathFact>,
  index: PrivateIndex,
  state: {
    still: boolean;
    unreadable: Set<RawPath>;
    modified: Map<RawPath, RawDiffEntry>;
    gone: Map<RawPath, RawDiffEntry>;
  },
): Promise<RawPath[]> {
  const { modified, gone, unreadable } = state;
  const candidates: { path: RawPath; sizeBytes: number }[] = [];
  for (const path of paths) {
    const fact = facts.get(path);
    const entry = modified.get(path);
    if (index.refused.has(path) || (fact === undefined && state.still)) unreadable.add(path);
    else if (fact?.type === "l" || (fact?.type === "f" && fact.readable && fact.sizeBytes <= MAX_FILE_BYTES)) {
      candidates.push({ path, sizeBytes: fact.sizeBytes + BYTES_PER_FILE });
    } else if (fact?.type === "f") unreadable.add(path);
    else if (fact !== undefined && entry !== undefined) gone.set(path, entry); // A pipe, a socket: not a file to git.
  }
  let total = candidates.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  index.crowded = false;
  if (total > 0) {
    const room = await index.room();
    candidates.sort((a, b) => a.sizeBytes - b.sizeBytes);
    // As many files as possible: the largest stay out.
    while (total > room.bytes || candidates.length > room.files) {
      const last = candidates.pop();
      if (last === undefined) break;
      index.crowded = true;
      total -= last.sizeBytes;
      unreadable.add(last.path);
    }
  }
  index.stagedBytes += total;
  return candidates.map(({ path }) => path);
}

/** Returns those of the paths that are files, and not behind a symbolic link. */
async function chooseTracked(
  index: PrivateIndex,
  claimed: readonly RawPath[],
  facts: ReadonlyMap<RawPath, PathFact>,
  options: { signal: AbortSignal },
): Promise<RawPath[]> {
  const files = claimed.filter((path) => /[fl]/.test(facts.get(path)?.type ?? ""));
  const parents = new Set(files.flatMap(parentsOf));
  const above = await lookAt(index.place, index.workTree, [...parents], options);
  return files.filter((path) => parentsOf(path).every((directory) => above.get(directory)?.type === "d"));
}

/** Returns the files that are absent since Claude's index says so, and not since something else took their place. */
function leftToIndex(
  entries: ReadonlyMap<RawPath, RawDiffEntry>,
  skipped: ReadonlySet<RawPath>,
  facts: ReadonlyMap<RawPath, PathFact>,
): RawPath[] {
  const isThere = (path: RawPath): boolean => (entries.get(path)?.newMode ?? ABSENT) !== ABSENT;
  return [...entries.values()]
    .filter(({ path, newMode }) => newMode === ABSENT && skipped.has(path) && !facts.has(path))
    .map(({ path }) => path)
    .filter((path) => !parentsOf(path).some(isThere));
}

/** Finds out which new files git passed over: they still count as other, or are tracked by Claude. */
async function noteRefused(
  index: PrivateIndex,
  missing: readonly RawPath[],
  unreadable: Set<RawPath>,
  options: { tracked: ReadonlySet<RawPath>; signal: AbortSignal },
): Promise<void> {
  const suspects = missing.filter((path) => !unreadable.has(path));
  if (suspects.length === 0) return;
  const others = new Set((await index.listOthers(options)).paths);
  for (const path of suspects) {
    if (!others.has(path) && !options.tracked.has(path)) continue;
    index.refused.add(path);
    unreadable.add(path);
  }
}

/** Returns the directories that could not be looked into, and those that git ignores only if one of `within` is there. */
async function listClosed(
  index: PrivateIndex,
  within: readonly RawPath[],
  options: { signal: AbortSignal },
): Promise<RawPath[]> {
  const closed = await findClosedDirectories(index.place, index.workTree, options);
  const ignored = new Set(await index.listIgnored(closed, options));
  const counts = (path: RawPath): boolean => within.some((claimed) => claimed.startsWith(`${path}/`));
  return closed.filter((path) => !ignored.has(path) || counts(path));
}
