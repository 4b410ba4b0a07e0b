import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { CleanCheckout, differences } from "../../test/git/clean-checkout.ts";
import { countGit } from "../../test/git/counted-git.ts";
import { asClaude, requireRoot, WorkArea } from "../../test/git/work-area.ts";
import type { Workspace } from "../git/workspace.ts";
import { createLogger } from "../log.ts";
import { type EventBody, FileChange_Kind } from "../../proto/index.ts";
import { ChangesStream } from "./changes-stream.ts";

beforeAll(requireRoot);

const FILES = 300;

/** A repository with many files, which are others on its branch "other". */
async function open(area: WorkArea): Promise<Workspace> {
  area.source("repo", (directory, git) => {
    for (let index = 0; index < FILES; index++) {
      const folder = join(directory, `lib/d${index % 50}`);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, `f${index}`), `file ${index}\n`);
    }
    writeFileSync(join(directory, ".gitignore"), "node_modules/\n");
    git("add", "-A");
    git("commit", "-qm", "start");
  });
  return await area.open(await area.spec("repo"));
}

/** Makes as many files in new directories. */
const install = (below: string): string =>
  `for d in $(seq ${FILES / 5}); do mkdir -p ${below}/p$d/lib; for f in 1 2 3 4 5; do echo $d > ${below}/p$d/lib/f$f.js; done; done`;
const format = "find lib -type f | xargs sed -i 's/file/File/'";

test.each([
  ["a formatter over everything", format, FILES],
  ["all that is removed", "rm -rf lib", FILES],
  ["new files that git does not ignore", install("vendor"), FILES],
  ["a directory that is renamed", "mv lib other", 2 * FILES],
  ["another branch", "git checkout -q -b x; rm -r lib/d*; git commit -qam x; git checkout -q main", 0],
  ["changes that are stashed", `${format}; git stash -q`, 0],
  ["a deep tree", "p=deep; for i in $(seq 60); do p=$p/d; done; mkdir -p $p; echo x > $p/f", 1],
])(
  "tells once or twice of each file after a storm: %s",
  async (_, script, changed) => {
    await using area = new WorkArea();
    await using view = await View.open(area);
    const ran = await countGit(area.directory, async () => {
      asClaude(view.workspace.workTree, script);
      await view.isTrue();
    });
    expect(view.told.size).toBe(changed);
    expect(view.patches).toBeLessThanOrEqual(2 * Math.max(changed, FILES));
    // A look at everything runs some ten, and what this test asks itself is among it.
    expect(ran.length).toBeLessThan(300);
  },
  120_000,
);

test("runs next to nothing for what git ignores", async () => {
  await using area = new WorkArea();
  await using view = await View.open(area);
  const { workTree } = view.workspace;
  asClaude(workTree, install("node_modules"));
  asClaude(workTree, "echo x > end");
  await expect.poll(() => view.told.has("end"), { timeout: 20_000 }).toBe(true);
  await view.isStill();
  const ran = await countGit(area.directory, async () => {
    asClaude(workTree, install("node_modules/more"));
    asClaude(workTree, "rm -r node_modules/more node_modules/p1; echo y > end");
    await expect.poll(() => view.told.get("end"), { timeout: 20_000 }).toContain("+y");
  });
  expect(ran).toEqual(["ls-tree", "check-ignore", "update-index", "cat-file", "diff-index"]);
  expect([...view.told.keys()]).toEqual(["end"]);

  // It is not what it was any more.
  asClaude(workTree, "echo > .gitignore; echo z > node_modules/z");
  await expect.poll(() => view.told.has("node_modules/z"), { timeout: 20_000 }).toBe(true);
  asClaude(workTree, "echo node_modules > .gitignore; git add -f node_modules/z; echo zz > node_modules/z");
  await view.isStill();
  expect([...view.told.keys()].sort()).toEqual([".gitignore", "end", "node_modules/z"]);
  asClaude(workTree, "echo zzz > node_modules/z");
  await expect.poll(() => view.told.get("node_modules/z"), { timeout: 20_000 }).toContain("zzz");
}, 120_000);

/** What somebody sees who follows the changes of a workspace. */
class View implements AsyncDisposable {
  readonly workspace: Workspace;
  readonly told = new Map<string, string>();
  patches = 0;
  readonly #stream: ChangesStream;
  readonly #clean: CleanCheckout;

  private constructor(workspace: Workspace, clean: CleanCheckout) {
    this.workspace = workspace;
    this.#clean = clean;
    const emit = (event: EventBody): void => this.#take(event);
    this.#stream = new ChangesStream({ workspace, emit, roomy: async () => true, log: createLogger("silent") });
  }

  static async open(area: WorkArea): Promise<View> {
    const workspace = await open(area);
    const clean = new CleanCheckout(join(area.directory, "sources/repo"), join(area.directory, "clean"));
    const view = new View(workspace, clean);
    view.#stream.start();
    await view.isStill();
    return view;
  }

  #take(event: EventBody): void {
    if (event.case !== "filePatched") return;
    this.patches++;
    const { change, patch, partIndex } = event.value;
    const path = change!.path;
    if (change!.kind === FileChange_Kind.REVERTED) this.told.delete(path);
    else this.told.set(path, (partIndex === 0 ? "" : this.told.get(path)!) + Buffer.from(patch).toString("latin1"));
  }

  /** Expects that what was told comes to what is collected. */
  async isTrue(): Promise<void> {
    await this.isStill();
    const { patch } = await this.workspace.collect({ signal: AbortSignal.timeout(60_000) });
    const live = this.#clean.blobs(Buffer.from([...this.told.values()].join(""), "latin1"));
    expect(differences(live, this.#clean.blobs(patch))).toEqual([]);
  }

  /** Resolves when everything has been looked at. */
  async isStill(): Promise<void> {
    await this.#stream.scan({ signal: AbortSignal.timeout(60_000) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stream.stop();
  }
}
