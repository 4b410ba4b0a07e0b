import { execFileSync } from "node:child_process";
import { CommitBundle } from "../../agent/git/commit-bundle.ts";
import type { Workspace } from "../../agent/git/workspace.ts";
import { type BroughtCommits, rebuildCommits } from "../../host/repository/rebuild-commits.ts";
import { Scratch } from "../../host/repository/scratch.ts";
import type { LeftWork } from "../../proto/index.ts";

const signal = AbortSignal.timeout(300_000);

/** Collects what a workspace's repository holds, as the agent does at the end of a session. */
export async function bundleOf(workspace: Workspace): Promise<{ bytes: Buffer; left: LeftWork; treeId: string }> {
  const collected = await workspace.collect({ signal });
  const bundle = new CommitBundle();
  const left = await workspace.findLeftWork(collected, { bundle, signal });
  return { bytes: bundle.bytes(), left, treeId: collected.treeId };
}

/** Takes a bundle in beside a repository, as the host does. `show` runs git there. */
export async function rebuilt(
  repository: string,
  bytes: Uint8Array,
): Promise<{ brought: BroughtCommits; show: (...args: string[]) => string } & AsyncDisposable> {
  const borrowed = [`${repository}/.git/objects`];
  const scratch = await Scratch.create({ objectFormat: "sha1", borrowed, signal });
  const end = () => scratch[Symbol.asyncDispose]();
  try {
    const brought = await rebuildCommits(scratch, bytes, { objectFormat: "sha1", signal });
    const show = (...args: string[]) =>
      execFileSync("git", ["--git-dir", scratch.gitDirectory, ...args], { encoding: "utf8", stdio: "pipe" });
    return { brought, show, [Symbol.asyncDispose]: end };
  } catch (error) {
    await end();
    throw error;
  }
}
