import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { claudecluster, type CommandOutcome } from "../support/claudecluster.ts";
import { startMcpServer } from "../support/mcp-client.ts";
import { type Rig, startRig } from "../support/rig.ts";

let rig: Rig;
let top: string;
let clone: string;
beforeAll(async () => {
  rig = await startRig();
  top = mkdtempSync(join(tmpdir(), "claudecluster-apply-"));
  clone = join(top, "clone");
  // The server is in this process.
  await promisify(execFile)("git", ["clone", "-q", rig.repository, clone]);
});
afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  rmSync(top, { recursive: true });
});

const git = (...args: string[]) =>
  execFileSync("git", ["-c", "user.name=User", "-c", "user.email=u@example.com", ...args], {
    cwd: clone,
    encoding: "utf8",
  });
const cli = (...args: string[]): Promise<CommandOutcome> => claudecluster(rig.mcp.place, args, { cwd: clone });

async function session(command: string, ...from: string[]): Promise<string> {
  const scenario = `[scenario: call-tools ${JSON.stringify([{ name: "Bash", input: { command } }])}]`;
  const { code, stdout, stderr } = await cli(
    "run",
    scenario,
    ...(from.length > 0 ? from : ["-r", rig.repository]),
    "--json",
  );
  expect(code, stderr).toBe(0);
  return (JSON.parse(stdout) as { session_id: string }).session_id;
}

test("what a session has changed becomes a branch, or goes into the user's files, and is taken back to the byte", async () => {
  const id = await session(
    "echo export > src/new.js; rm src/legacy.js; printf 'a\\0b' > data.bin; ln -s README.md link; chmod +x src/greet.js; mkdir -p 'a b/ü'; echo x > 'a b/ü/ñ'",
  );
  const made = await cli("apply", id, "--json");
  expect(made.code, made.stderr).toBe(0);
  const { branch, notes } = JSON.parse(made.stdout) as { branch: string; notes?: string[] };
  // The agent's tree is the one that was made here.
  expect(notes ?? []).toEqual([]);
  expect(
    git("diff", "--name-status", "-z", "HEAD", branch)
      .split("\0")
      .filter((text) => text.length > 1)
      .sort(),
  ).toEqual(["a b/ü/ñ", "data.bin", "link", "src/greet.js", "src/legacy.js", "src/new.js"]);

  writeFileSync(join(clone, "README.md"), "mine\n");
  git("add", "README.md");
  writeFileSync(join(clone, "README.md"), "mine, and more\n");
  const before = readFileSync(join(clone, ".git/index"));
  const written = await cli("apply", id, "--worktree");
  expect(written.code, written.stderr).toBe(0);
  expect(written.stderr).toContain("link: a symbolic link");
  expect(written.stderr).toContain("src/greet.js: can be executed");
  expect(readFileSync(join(clone, "data.bin"), "latin1")).toBe("a\0b");
  expect(readFileSync(join(clone, ".git/index")).equals(before)).toBe(true);
  expect((await cli("undo", id)).code).toBe(0);
  expect(git("status", "--porcelain")).toBe("MM README.md\n");

  const other = await session("echo theirs > README.md");
  const refused = await cli("apply", other, "-w");
  expect([refused.code, refused.stdout]).toEqual([5, expect.stringContaining("conflict: README.md")]);
  expect(git("status", "--porcelain")).toBe("MM README.md\n");
});

test("commits come back as they were made, and stashes, branches and worktrees with them, until it is undone", async () => {
  const id = await session(
    `git config user.name Claude; git config user.email c@example.com; echo '*.log' >> .gitignore; echo 1 > one; git add .; git commit -qm one
    echo l > kept.log; git add -f kept.log; git commit -qm two; git worktree add -q .claude/worktrees/w -b side HEAD~1; echo w > .claude/worktrees/w/w.txt
    git checkout -q -b other; echo o > o; git add o; git commit -qm other; git checkout -q main; echo s > s; git stash -q -u; echo rest > rest`,
  );
  expect((await cli("logs", id)).stdout).toMatch(/commits?( [0-9a-f]{7})? on (main|other): (one|two|other) \(/);
  const made = await cli("apply", id, "--commits", "--json");
  expect(made.code, made.stderr).toBe(0);
  const report = JSON.parse(made.stdout) as { branch: string; commit_count: number; other_branches: { ref: string; branch: string }[] }; // prettier-ignore
  expect(report).toMatchObject({ commit_count: 2 });
  expect(git("log", "--format=%s", "-3", report.branch)).toBe("What the session left uncommitted\ntwo\none\n");
  expect(git("log", "--format=%an", "-2", `${report.branch}~1`)).toBe("Claude\nClaude\n");
  expect(git("ls-tree", "-r", "--name-only", report.branch).split("\n")).toEqual(expect.arrayContaining(["kept.log", "one", "rest"])); // prettier-ignore
  const branchOf = (name: string) => report.other_branches.find(({ ref }) => ref === name)?.branch ?? name;
  expect(report.other_branches.map(({ ref }) => ref).sort()).toEqual(["claude-worktrees-w", "other", "stash-0"]);
  expect(git("log", "--format=%s", "-1", branchOf("other"))).toBe("other\n");
  expect(git("show", `${branchOf("claude-worktrees-w")}:w.txt`)).toBe("w\n");
  expect(git("show", `${branchOf("stash-0")}^3:s`)).toBe("s\n");
  expect(git("fsck", "--connectivity-only", "--no-dangling")).toBe("");
  expect(JSON.parse((await cli("apply", id, "--commits", "--json")).stdout)).toMatchObject({ already: true });
  expect((await cli("undo", id)).code).toBe(0);
  expect(git("branch", "--list", `${report.branch}*`)).toBe("");

  const one = await cli("apply", id, "--ref", "stash-0");
  expect(one.stdout).toContain(`${report.branch}-stash-0`);
  git("stash", "apply", `${report.branch}-stash-0`);
  expect(git("status", "--porcelain", "s")).toBe("?? s\n");
  rmSync(join(clone, "s"));
  expect(await cli("apply", id, "--ref", "nothing")).toMatchObject({ code: 4, stderr: expect.stringContaining("stash-0") as string }); // prettier-ignore
}, 120_000);

test.each([["--worktree"], ["--stage"]])(
  "what a session goes on with goes into the files that have its first part already (%s)",
  async (flag) => {
    git("reset", "-q", "--hard");
    git("clean", "-q", "-fd");
    const first = await session("echo one > README.md; echo one > src/new.js; echo one > left.js");
    expect((await cli("apply", first, flag)).code).toBe(0);
    rmSync(join(clone, "left.js"));
    git("rm", "-q", "--cached", "--ignore-unmatch", "left.js");
    const second = await session("echo two > README.md; echo two > src/new.js", "--continue", first);
    const taken = await cli("apply", second, flag);
    expect(taken.code, taken.stderr + taken.stdout).toBe(0);
    const read = (path: string) => readFileSync(join(clone, path), "utf8");
    expect([read("README.md"), read("src/new.js")]).toEqual(["two\n", "two\n"]);
    expect((await cli("undo", second)).code).toBe(0);
    expect([read("README.md"), read("src/new.js")]).toEqual(["one\n", "one\n"]);
    // What is the user's own is in the way as ever.
    writeFileSync(join(clone, "README.md"), "mine\n");
    expect(await cli("apply", second, flag)).toMatchObject({ code: 5, stdout: expect.stringContaining("README.md") as string }); // prettier-ignore
    git("reset", "-q", "--hard");
    git("clean", "-q", "-fd");
  },
);

test("a parent takes a session's changes into its own project, and takes them back", async () => {
  const id = await session("echo more >> README.md; echo 'echo hi' > .envrc");
  const project = join(top, "project");
  execFileSync("git", ["clone", "-q", clone, project]);
  const place = rig.mcp.place;
  await using mcp = await startMcpServer({ place, env: { CLAUDE_PROJECT_DIR: project } });
  const read = (outcome: { summary: unknown }) => outcome.summary as Record<string, unknown>;
  const dry = await mcp.call("apply_changes", { session_id: id, dry_run: true });
  expect(read(dry)).toMatchObject({
    applied: "nothing",
    file_count: 2,
    runs_code: [{ path: ".envrc", why: "your shell runs it (direnv)" }],
  });
  expect(dry.text).toContain("  .envrc: your shell runs it (direnv)\n");
  expect(read(await mcp.call("apply_changes", { session_id: id }))).toMatchObject({ applied: "branch" });
  expect(read(await mcp.call("undo_changes", {}))).toMatchObject({
    session_id: id,
    branch: expect.any(String) as string,
  });
  const written = await mcp.call("apply_changes", { session_id: id, worktree: true, paths: ["README.md"] });
  expect(read(written)).toMatchObject({ applied: "worktree", files: [{ path: "README.md", kind: "modified" }] });
  expect(execFileSync("git", ["status", "--porcelain"], { cwd: project, encoding: "utf8" })).toBe(" M README.md\n");
  expect(read(await mcp.call("undo_changes", { session_id: id }))).toMatchObject({ file_count: 1 });

  writeFileSync(join(project, "README.md"), "other\n");
  const refused = await mcp.call("apply_changes", { session_id: id, worktree: true });
  expect(refused.isError).toBe(true);
  expect(read(refused)).toMatchObject({ applied: "nothing", conflicts: [{ path: "README.md" }] });
  expect(refused.text).toMatch(
    /^APPLY_CONFLICTS: [^]*\nconflict: README\.md\n[^]*next: nothing was written\. apply_changes /,
  );
  expect(readFileSync(join(project, "README.md"), "utf8")).toBe("other\n");
});

test("what started from uncommitted work goes back into it, and into a branch on the user's own commit", async () => {
  git("reset", "-q", "--hard");
  writeFileSync(join(clone, "README.md"), "staged\n");
  git("add", "README.md");
  writeFileSync(join(clone, "README.md"), "staged, and more\n");
  writeFileSync(join(clone, "mine.txt"), "one\ntwo\n");
  const scenario = `[scenario: call-tools ${JSON.stringify([{ name: "Bash", input: { command: "echo three >> mine.txt; echo x > new.txt" } }])}]`;
  const { code, stdout, stderr } = await cli("run", scenario, "--json");
  expect(code, stderr).toBe(0);
  const { session_id: id } = JSON.parse(stdout) as { session_id: string };
  const made = await cli("apply", id, "--json");
  expect(made.code, made.stderr).toBe(0);
  const { branch, notes } = JSON.parse(made.stdout) as { branch: string; notes?: string[] };
  expect(notes ?? []).toEqual([]);
  expect(git("diff", "--name-only", `${branch}~1`, branch)).toBe("mine.txt\nnew.txt\n");
  expect(git("rev-parse", `${branch}~2`)).toBe(git("rev-parse", "HEAD"));
  const written = await cli("apply", id, "-w");
  expect(written.code, written.stderr).toBe(0);
  expect(readFileSync(join(clone, "mine.txt"), "utf8")).toBe("one\ntwo\nthree\n");
  expect(git("status", "--porcelain")).toBe("MM README.md\n?? mine.txt\n?? new.txt\n");
  expect((await cli("undo")).code).toBe(0);
  expect(readFileSync(join(clone, "mine.txt"), "utf8")).toBe("one\ntwo\n");
});
