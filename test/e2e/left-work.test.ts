import { afterAll, beforeAll, expect, test } from "vitest";
import { LeftWork_Item_Kind as Kind, type SessionResult } from "../../proto/index.ts";
import { claudecluster } from "../support/claudecluster.ts";
import { containersGone } from "../support/containers-gone.ts";
import { type McpRig, startMcpServer } from "../support/mcp-client.ts";
import { type HostRig, startHostRig } from "../support/rig.ts";

let rig: HostRig;
let mcp: McpRig;
beforeAll(async () => {
  rig = await startHostRig();
  mcp = await startMcpServer({ place: rig.place });
});
afterAll(async () => {
  await mcp[Symbol.asyncDispose]();
  await rig[Symbol.asyncDispose]();
});

/** What a Claude does that runs these commands, each in a step of its own. */
const commands = (...scripts: string[]): string =>
  `[scenario: call-tools ${JSON.stringify(scripts.map((command) => ({ name: "Bash", input: { command } })))}]`;

const STASH =
  /^Not in the patch, in stash@\{0\}: 1 file \("WIP on main: [0-9a-f]{7} .*"\); to take it: apply --ref stash-0$/;

/** The result as the control API has it, once no container is left. */
async function resultOf(sessionId: string): Promise<SessionResult> {
  await containersGone(rig.place);
  return (await rig.sessions.get(sessionId)).result!;
}

test("a stash is named in every answer", async () => {
  const task = commands("echo fix >> README.md && git stash");
  const { isError, summary } = await mcp.spawn({ task, repository: rig.repository });
  expect(isError, JSON.stringify(summary?.failure)).toBe(false);
  expect(summary).toMatchObject({ state: "succeeded", change_count: 0, not_in_patch: [expect.stringMatching(STASH)] });
  const id = summary!.session_id;
  const { leftWork, patchTruncated } = await resultOf(id);
  expect(leftWork).toMatchObject({ itemCount: 1, incomplete: false, items: [{ kind: Kind.STASH, fileCount: 1 }] });
  expect(patchTruncated).toBe(false);

  const cli = (...args: string[]) => claudecluster(rig.place, args);
  const line = summary!.not_in_patch![0]!;
  expect((await cli("show", id)).stdout).toContain(line);
  expect(JSON.parse((await cli("show", id, "--json")).stdout)).toMatchObject({ not_in_patch: [line] });
  expect(await cli("diff", id)).toMatchObject({ stdout: "", stderr: `${line}\n` });
  expect(JSON.parse((await cli("diff", id, "--json")).stdout)).toMatchObject({ not_in_patch: [line] });
  const run = await cli("run", task, "-r", rig.repository);
  expect(run.code).toBe(0);
  expect((await cli("list")).stdout).toMatch(/ 0\+ .*\n(?:.*\n)*\+ beside the patch/);
  expect(run.stderr).toMatch(/^succeeded: 0 files changed, .*\n {2}Not in the patch, in stash@\{0\}: 1 file/m);
});

test("commits on another branch, a worktree outside and ignored files are named, and what was left when time was over", async () => {
  const { summary } = await mcp.spawn({
    task: commands(
      "git checkout -q -b wip && echo 1 > one.txt && git add . && git commit -qm 'half of it' && git checkout -q main",
      "git worktree add -q /tmp/elsewhere -b side && echo x > /tmp/elsewhere/new.txt",
      "echo '*.log' > .gitignore && touch a.log b.log && mkdir logs && touch logs/c.log",
      "echo later > later.txt && git add later.txt && git stash -q && sleep 600",
    ),
    repository: rig.repository,
    timeout_seconds: 40,
  });
  expect(summary).toMatchObject({ state: "failed", failure: { reason: "TIMED_OUT" } });
  expect(summary!.changes.map(({ path }) => path)).toEqual([".gitignore"]);
  expect(summary!.not_in_patch).toEqual([
    expect.stringMatching(STASH),
    'Not in the patch, on branch wip: 1 commit, 1 file ("half of it"); to take it: apply --ref wip',
    "Not in the patch, in worktree /tmp/elsewhere (branch side): 1 file; to take it: apply --ref tmp-elsewhere",
    "3 new files that git ignores are not in the patch: a.log, b.log, logs/",
  ]);
});

test("Claude's own worktree in the work tree is no addition, and a session that is stopped says what it leaves", async () => {
  const { summary } = await mcp.spawn({
    task: commands(
      "git worktree add -q .claude/worktrees/x -b wt && echo x > .claude/worktrees/x/new.txt && echo y > mine.txt",
    ),
    repository: rig.repository,
    idle_timeout_seconds: 300,
  });
  expect(summary?.state, JSON.stringify(summary?.failure)).toBe("idle");
  expect(summary!.changes.map(({ path }) => path)).toEqual(["mine.txt"]);
  const stop = await claudecluster(rig.place, ["stop", summary!.session_id]);
  const line =
    "Not in the patch, in worktree .claude/worktrees/x (branch wt): 1 file; to take it: apply --ref claude-worktrees-x";
  expect(stop).toMatchObject({ code: 0, stdout: `Stopped ${summary!.session_id}.\n  ${line}\n` });
  const { changes, outcome } = await resultOf(summary!.session_id);
  expect(outcome.case).toBe("cancellation");
  expect(changes.map(({ path }) => path)).toEqual(["mine.txt"]);
});
