import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { cutText, type LeftWork, type LeftWork_Item, LeftWork_Item_Kind as Kind, LeftWork_ItemSchema, LeftWorkSchema, quotePath, type RawPath, utf8Of } from "../../proto/index.ts"; // prettier-ignore
import { OBJECT_FORMATS } from "./base-repository.ts";
import { shell } from "./git.ts";
import { BringAlong } from "./bring-along.ts";
import type { CommitBundle } from "./commit-bundle.ts";
import { describeCommits, diffTrees, OwnCommits, peelToCommits } from "./own-commits.ts";
import { PrivateIndex, type PrivateIndexOptions } from "./private-index.ts";
import { countDiffering, type FileState, stateOf, statesOf } from "./file-states.ts";
import type { RawDiffEntry } from "./raw-diff.ts";
import { commitsOnce } from "./reflog.ts";
import { type Head, openWindow, type RepositoryWindow, type Worktree } from "./repository-window.ts";
import { readChanges } from "./tree-changes.ts";

/** All of it together: the end of a session waits for it. */
const TIME_MS = 40_000;
/** What is brought along by then. The rest of the time is for naming things. */
const BRING_MS = 20_000;
/** So many are looked at; the rest is counted. */
const MAX_ITEMS = 100;
/** Enough to see what kind of files they are. */
const MAX_PATHS = 20;
const MAX_NAME_BYTES = 1024;
const MAX_SUBJECT_BYTES = 300;

/** Repository to search, and what the work tree has. */
export interface LeftWorkOptions extends Omit<PrivateIndexOptions, "copied" | "name"> {
  /** Differences of the work tree from the start commit. What another place has as well is not left there. */
  entries: readonly RawDiffEntry[];
  /** Checkouts of the same repository in the work tree, with a slash at the end. */
  checkouts: readonly RawPath[];
  /** Files that have another content in Claude's index than in the work tree. */
  staged: readonly RawDiffEntry[];
  /** Bundle that takes Claude's commits, those that are checked out in the work tree too. Default: they are only named. */
  bundle?: CommitBundle | undefined;
}

/**
 * Returns what Claude's repository holds and the work tree does not: staged content, stashes, commits on other branches
 * or on none, worktrees. It must be called when nothing of the session runs any more. Takes at most 40 s; what was not
 * searched by then makes it incomplete.
 */
export async function findLeftWork({ signal, ...options }: LeftWorkOptions): Promise<LeftWork> {
  const search = new Search({ ...options, signal: AbortSignal.any([signal, AbortSignal.timeout(TIME_MS)]) });
  await search.run();
  await search.clear({ signal: AbortSignal.timeout(10_000) }).catch(() => undefined);
  signal.throwIfAborted();
  return search.found();
}

class Search {
  readonly #options: LeftWorkOptions;
  readonly #final: ReadonlyMap<RawPath, FileState>;
  readonly #items: LeftWork_Item[] = [];
  #count = 0;
  #incomplete = false;
  #indexes = 0;
  readonly #bring: BringAlong;

  constructor(options: LeftWorkOptions) {
    this.#options = options;
    this.#final = statesOf(options.entries);
    const signal = AbortSignal.any([options.signal, AbortSignal.timeout(BRING_MS)]);
    this.#bring = new BringAlong(options.bundle, { base: options.base, signal });
  }

  found(): LeftWork {
    return create(LeftWorkSchema, { items: this.#items, itemCount: this.#count, incomplete: this.#incomplete });
  }

  async run(): Promise<void> {
    const { base, workTree, identity, scanDirectory, checkouts, signal } = this.#options;
    await this.#trying(async () => {
      const gitDir = `${scanDirectory}/left-work`;
      const window = await openWindow({ workTree, base, identity, gitDir, signal }).catch((error: unknown) => {
        this.#addStaged();
        throw error;
      });
      if (window === undefined) return this.#addStaged();
      const foreign = this.#bring.foreignIn(window);
      await this.#bring.head(window);
      this.#addStaged(await this.#bring.index(window, this.#options.staged));
      const known = window.head.commitId === "" ? foreign : [...foreign, window.head.commitId];
      await this.#trying(() => this.#searchStashes(window));
      await this.#trying(() => this.#searchCommits(window, known));
      const heads = window.worktrees.map(({ head }) => head.commitId).filter((id) => id !== "");
      const seen = [...known, ...window.refs.values(), ...heads];
      for (const [at, path] of checkouts.entries()) {
        const directory = `${workTree}/${path.slice(0, -1)}`;
        if (window.worktrees.some((worktree) => worktree.path === directory)) continue;
        const alternates = [`${gitDir}/objects`];
        await this.#trying(async () => {
          const own = { workTree: utf8Of(directory), base, identity, gitDir: `${gitDir}-${at}`, alternates, signal };
          const clone = await openWindow(own);
          if (clone !== undefined) await this.#searchClone(clone, path, seen);
        });
      }
    });
  }

  /** Removes what the search has stored. */
  async clear(options: { signal: AbortSignal }): Promise<void> {
    const { identity, scanDirectory } = this.#options;
    const script = { name: "clean", text: 'rm -rf -- "$1"/left-work*' };
    await shell({ identity }, script, [scanDirectory], options);
  }

  /** What cannot be read must not hide the rest. */
  async #trying(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch {
      this.#incomplete = true;
    }
  }

  #addStaged(refName = ""): void {
    const { staged } = this.#options;
    const paths = staged.slice(0, MAX_PATHS).map(({ path }) => cutText(quotePath(path), MAX_NAME_BYTES).text);
    if (staged.length > 0) this.#add({ kind: Kind.INDEX, name: "the index", fileCount: staged.length, paths, refName });
  }

  async #searchStashes(window: RepositoryWindow): Promise<void> {
    const { signal } = this.#options;
    const about = await describeCommits(window, window.stashes, { signal });
    for (const [at, id] of window.stashes.entries()) {
      const { subject = "", parents = [] } = about.get(id) ?? {};
      const [before, staged, untracked] = parents;
      if (before === undefined) continue;
      await this.#trying(async () => {
        const touched = new Set((await diffTrees(window, before, id, { signal })).map(({ path }) => path));
        if (staged !== undefined) {
          for (const { path } of await diffTrees(window, before, staged, { signal })) touched.add(path);
        }
        const states = await this.#statesIn(window, id);
        if (untracked !== undefined) {
          const { emptyTree } = OBJECT_FORMATS[this.#options.base.objectFormat];
          for (const entry of await diffTrees(window, emptyTree, untracked, { signal })) {
            touched.add(entry.path);
            states.set(entry.path, stateOf(entry));
          }
        }
        const fileCount = this.#countLeft(touched, states);
        if (fileCount === 0) return;
        const name = `stash@{${at}}`;
        const refName = await this.#bring.commit(window.place, name, id);
        this.#add({ kind: Kind.STASH, name, commitId: id, subject, fileCount, refName });
      });
    }
  }

  async #searchCommits(window: RepositoryWindow, known: readonly string[]): Promise<void> {
    const { workTree, signal } = this.#options;
    const isKnown = new Set(known);
    const worktrees = window.worktrees.filter(({ path }) => path !== "" && utf8Of(path) !== workTree);
    const gone = window.worktrees.filter(({ path }) => path === "");
    const refs = [...window.refs].filter(([name, id]) => !isKnown.has(id) && name !== "refs/stash");
    // An annotated tag has an id of its own.
    const peeled = await peelToCommits(window, [...new Set(refs.map(([, id]) => id))], { signal });
    const once = [window.reflog, ...window.worktrees.map(({ reflog }) => reflog)].flatMap((log) => [
      ...commitsOnce(log),
    ]);
    for (const { head } of gone) if (head.commitId !== "") once.push(head.commitId);
    const held = [...peeled.values(), ...worktrees.map(({ head }) => head.commitId)].filter((id) => id !== "");
    const own = await OwnCommits.find(window, [...held, ...once], known, { signal });
    const lost = refs.some(([name, id]) => isBranch(name) && !peeled.has(id));
    this.#incomplete ||= window.incomplete || own.cut || lost;
    const elsewhere = own.from(held);
    const loose = own.newestOf(once.filter((id) => !elsewhere.has(id)));
    const inWorktree = new Set(worktrees.map(({ head }) => head.ref));
    const branches = new Set(refs.filter(([name]) => isBranch(name)).map(([, id]) => id));

    for (const [name, id] of refs) {
      const commitId = peeled.get(id) ?? id;
      if (!own.has(commitId) || inWorktree.has(name)) continue;
      // Said once, by the branch.
      if (!isBranch(name) && branches.has(commitId)) continue;
      const kind = isBranch(name) ? Kind.BRANCH : Kind.REF;
      await this.#trying(() => this.#addCommits(window, own, { kind, name: name.replace(BRANCHES, ""), commitId }));
    }
    for (const worktree of worktrees) {
      await this.#trying(() => this.#addWorktree(window, own, worktree, { kind: Kind.WORKTREE }));
    }
    for (const commitId of loose) {
      await this.#trying(() => this.#addCommits(window, own, { kind: Kind.COMMIT, name: "", commitId }));
    }
  }

  /** A clone has commits of its own if the repository around it has them nowhere. */
  async #searchClone(clone: RepositoryWindow, path: RawPath, seen: readonly string[]): Promise<void> {
    const { workTree, signal } = this.#options;
    const known = [...this.#bring.foreignIn(clone), ...seen];
    const tips = [...clone.refs.values()];
    if (clone.head.commitId !== "") tips.push(clone.head.commitId);
    const own = await OwnCommits.find(clone, tips, known, { signal });
    this.#incomplete ||= clone.incomplete || own.cut;
    const worktree = { path: `${workTree}/${path.slice(0, -1)}`, head: clone.head };
    await this.#addWorktree(clone, own, worktree, { kind: Kind.CLONE, tips });
  }

  async #addCommits(
    window: RepositoryWindow,
    own: OwnCommits,
    item: { kind: Kind; name: string; commitId: string },
  ): Promise<void> {
    const { signal } = this.#options;
    const commits = own.from([item.commitId]);
    const touched = await own.touchedBy(commits, { signal });
    const fileCount = this.#countLeft(touched, await this.#statesIn(window, item.commitId));
    if (fileCount === 0) return;
    const about = await describeCommits(window, [item.commitId], { signal });
    const subject = about.get(item.commitId)?.subject ?? "";
    const short = item.kind === Kind.COMMIT ? `commit-${item.commitId.slice(0, 7)}` : item.name.replace(/^refs\//, "");
    const refName = await this.#bring.commit(window.place, short, item.commitId);
    this.#add({ ...item, name: utf8Of(item.name), subject, commitCount: commits.size, fileCount, refName });
  }

  /** Adds what a worktree or a clone has: its commits, and what is not committed there. */
  async #addWorktree(
    window: RepositoryWindow,
    own: OwnCommits,
    { path, head }: Pick<Worktree, "path"> & { head: Head },
    { kind, tips = [head.commitId] }: { kind: Kind; tips?: readonly string[] },
  ): Promise<void> {
    const { signal } = this.#options;
    const commits = own.from(tips);
    const touched = await own.touchedBy(commits, { signal });
    const states = head.commitId === "" ? new Map<RawPath, FileState>() : await this.#statesIn(window, head.commitId);
    const index = await this.#indexOf(window, path, head);
    try {
      const { entries, unreadable, staged } = await readChanges(index, { still: true, signal });
      const onlyStaged = staged.filter((entry) => stateOf(entry) !== this.#final.get(entry.path));
      const missing = unreadable.map((file) => [file, "unreadable"] as const);
      for (const [file, state] of [...statesOf(entries), ...missing, ...statesOf(onlyStaged)]) {
        touched.add(file);
        states.set(file, state);
      }
      const fileCount = this.#countLeft(touched, states);
      if (fileCount === 0) return;
      const newest = own.newestOf(tips);
      const subject = newest[0] && (await describeCommits(window, [newest[0]], { signal })).get(newest[0])?.subject;
      const name = this.#fromTop(path);
      const checkout = { name, head: head.commitId, newest, staged: onlyStaged, files: entries };
      const refName = unreadable.length > 0 ? "" : await this.#bring.checkout(index, checkout);
      this.#add({
        kind,
        name: quotePath(name),
        branch: utf8Of(head.ref.replace(BRANCHES, "")),
        commitId: newest[0] ?? "",
        subject: subject ?? "",
        commitCount: commits.size,
        fileCount,
        refName,
      });
    } finally {
      await index.dispose({ signal: AbortSignal.timeout(10_000) }).catch(() => undefined);
    }
  }

  /** Returns an index for comparing a checkout with its commit. The caller disposes of it. */
  async #indexOf(window: RepositoryWindow, path: string, head: Head): Promise<PrivateIndex> {
    const { base, scanDirectory, identity, signal } = this.#options;
    const { emptyTree } = OBJECT_FORMATS[base.objectFormat];
    const start = {
      ...base,
      gitDir: window.gitDir,
      commitId: head.commitId,
      treeId: head.commitId || emptyTree,
      checkedOut: undefined,
    };
    const name = `left-work-index-${this.#indexes++}`;
    return await PrivateIndex.create({ base: start, workTree: utf8Of(path), scanDirectory, identity, name, signal });
  }

  async #statesIn(window: RepositoryWindow, commitId: string): Promise<Map<RawPath, FileState>> {
    const { base, signal } = this.#options;
    return statesOf(await diffTrees(window, base.treeId, commitId, { signal }));
  }

  /** Counts the files that the work tree has otherwise. */
  #countLeft(touched: ReadonlySet<RawPath>, states: ReadonlyMap<RawPath, FileState>): number {
    return countDiffering(touched, states, this.#final);
  }

  #add(item: Omit<MessageInitShape<typeof LeftWork_ItemSchema>, "$typeName">): void {
    this.#count++;
    if (this.#items.length >= MAX_ITEMS) return;
    const { name = "", branch = "", subject = "" } = item;
    const cut = { name: cutText(name, MAX_NAME_BYTES).text, branch: cutText(branch, MAX_NAME_BYTES).text };
    this.#items.push(
      create(LeftWork_ItemSchema, { ...item, ...cut, subject: cutText(subject, MAX_SUBJECT_BYTES).text }),
    );
  }

  #fromTop(path: string): RawPath {
    const top = `${this.#options.workTree}/`;
    return path.startsWith(top) ? path.slice(top.length) : path;
  }
}

const BRANCHES = /^refs\/heads\//;

function isBranch(name: string): boolean {
  return BRANCHES.test(name);
}
