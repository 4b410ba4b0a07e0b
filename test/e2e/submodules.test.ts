import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { SessionSummary } from "../../host/present/session-summary.ts";
import { digestDirectory } from "../git/repository-digest.ts";
import { runGit } from "../git/work-area.ts";
import { claudecluster, type CommandOutcome } from "../support/claudecluster.ts";
import { type Rig, startRig } from "../support/rig.ts";

let rig: Rig;
let area: string;
let project: string;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

/** A project with a submodule in a submodule, and one that is not initialised; all of them dirty. */
beforeEach(() => {
  area = mkdtempSync(join(tmpdir(), "claudecluster-submodules-"));
  project = join(area, "project");
  const library = join(area, "library");
  for (const directory of [join(area, "inner"), library, project]) {
    runGit(area, "init", "-q", "-b", "main", directory);
    for (const name of ["kept", "changed", "staged"]) writeFileSync(join(directory, name), "one\n");
    writeFileSync(join(directory, ".gitignore"), "*.log\n");
    runGit(directory, "add", "-A");
    runGit(directory, "commit", "-qm", "one");
  }
  add(library, join(area, "inner"), "inner");
  add(project, library, "vendor/library");
  add(project, library, "other");
  runGit(project, "-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init", "--recursive");
  runGit(project, "submodule", "--quiet", "deinit", "-f", "other");
  const module = join(project, "vendor/library");
  runGit(module, "commit", "-q", "--allow-empty", "-m", "two");
  for (const directory of [project, module, join(module, "inner")]) {
    writeFileSync(join(directory, "changed"), "two\n");
    writeFileSync(join(directory, "staged"), "two\n");
    runGit(directory, "add", "staged");
    writeFileSync(join(directory, "untracked"), "two\n");
  }
  writeFileSync(join(module, "noise.log"), "ignored\n");
  return () => rmSync(area, { recursive: true });
});

function add(directory: string, library: string, path: string): void {
  runGit(directory, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", library, path);
  runGit(directory, "commit", "-qm", path);
}

const STATUS = ["", "vendor/library", "vendor/library/inner"].map(
  (path) =>
    `git -C ./${path} status --porcelain=v2 --branch --untracked-files=all | grep -v branch.upstream | grep -v branch.ab`,
);
// In brackets it has a name for the commit, by the refs that there are.
const ALL = [...STATUS, "git submodule status --recursive | sed 's/ (.*//'", "git log -1 --format=%s"].join("; ");

const cli = (...args: string[]): Promise<CommandOutcome> => claudecluster(rig.mcp.place, args, { cwd: project });

async function run(command: string, ...args: string[]): Promise<SessionSummary> {
  const scenario = `[scenario: call-tools ${JSON.stringify([{ name: "Bash", input: { command } }])}]`;
  const { stdout, stderr } = await cli("run", scenario, ...args, "--json");
  expect(stdout, stderr).not.toBe("");
  const summary = JSON.parse(stdout) as SessionSummary;
  expect(summary, stderr).toMatchObject({ state: "succeeded" });
  return summary;
}

const read = (path: string): string => readFileSync(join(project, path), "utf8");

test("submodules go in with their files, and git says of them inside what it says outside", async () => {
  const outside = execFileSync("sh", ["-c", ALL], { cwd: project, encoding: "utf8" });
  const before = digestDirectory(project);
  const { sent, result, change_count, not_in_patch } = await run(ALL);
  expect(sent).toContain("with 2 submodules: vendor/library, vendor/library/inner");
  expect(sent).toMatch(/1 submodules that stay empty \(other\)/);
  for (const line of outside.trimEnd().split("\n")) expect(result).toContain(line.trim());
  expect({ change_count, not_in_patch }).toEqual({ change_count: 0 });
  expect(digestDirectory(project)).toEqual(before);
});

test("what Claude changes in submodules goes into the user's, and is taken back to the byte", async () => {
  const { session_id, patch } = await run(
    [
      "echo three >> vendor/library/changed",
      "cd vendor/library; rm kept; mkdir new; echo three > new/file",
      "git add -A; git commit -qm three",
      "echo three > inner/changed; echo x > ../../top",
      // What only git has is not in the files.
      "cd inner; echo stashed > staged; git stash -q; git stash apply -q",
    ].join(" && "),
  );
  expect(patch).toContain("+++ b/vendor/library/new/file");
  const branch = await cli("apply", session_id, "--json");
  expect(branch.code, branch.stderr).toBe(0);
  expect(JSON.parse(branch.stdout)).toMatchObject({ applied: "branch", file_count: 1, files: [{ path: "top" }] });
  expect(branch.stdout).toContain("vendor/library/inner/changed");
  const made = (JSON.parse(branch.stdout) as { branch: string }).branch;
  expect(runGit(project, "diff", "--raw", "-r", `${made}^`, made)).toMatch(/^:000000 \S+ \S+ \S+ A\ttop\n$/);
  expect(runGit(project, "ls-tree", made, "vendor/library")).toContain(
    runGit(join(project, "vendor/library"), "rev-parse", "HEAD").trim(),
  );
  expect((await cli("undo")).code).toBe(0);

  const before = digestContents();
  const written = await cli("apply", session_id, "--worktree");
  expect(written.code, written.stderr).toBe(0);
  expect(read("vendor/library/changed")).toBe("two\nthree\n");
  expect(read("vendor/library/new/file")).toBe("three\n");
  expect(read("vendor/library/inner/changed")).toBe("three\n");
  expect(read("top")).toBe("x\n");
  expect(existsSync(join(project, "vendor/library/kept"))).toBe(false);
  expect(runGit(join(project, "vendor/library"), "status", "--porcelain")).toContain("M  staged\n");
  expect((await cli("undo")).code).toBe(0);
  expect(digestContents()).toEqual(before);
});

test("a conflict in a submodule's file is named, and nothing is written", async () => {
  const { session_id } = await run("echo theirs > vendor/library/changed; echo x > top");
  writeFileSync(join(project, "vendor/library/changed"), "mine\n");
  const refused = await cli("apply", session_id, "-w");
  expect([refused.code, refused.stdout], refused.stderr).toEqual([
    5,
    expect.stringContaining("conflict: vendor/library/changed"),
  ]);
  expect(existsSync(join(project, "top"))).toBe(false);
});

test("a stash in a submodule is named, a commit beside it is taken, and a session goes on where another one has changed submodules", async () => {
  const tree = String.raw`echo x | git hash-object -w --stdin | sed 's/.*/100644 blob &\tside/' | git mktree`;
  const commit = `git branch side $(git commit-tree $(${tree}) -p HEAD -m side)`;
  const first = await run(
    `${commit}; cd vendor/library; echo three > changed; echo three > added; cd inner; echo lost > kept; git stash -q`,
  );
  expect(JSON.stringify(first.not_in_patch)).toContain("vendor/library/inner");
  const nothing = await cli("apply", first.session_id, "--branch", "whole");
  expect([nothing.code, nothing.stderr]).toEqual([expect.any(Number), expect.stringContaining("apply --worktree")]);
  const { code, stdout, stderr } = await cli("apply", first.session_id, "--commits", "--branch", "whole", "--json");
  expect(code, stderr).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    branch: "whole-side",
    in_submodules: expect.arrayContaining(["vendor/library/changed"]),
  });
  expect(runGit(project, "log", "-1", "--format=%s", "whole-side")).toBe("side\n");
  expect((await cli("undo")).code).toBe(0);
  const second = await run("cat vendor/library/changed vendor/library/added", "--continue", first.session_id);
  expect(second.result).toContain("three\nthree");
  const third = await run("pwd; git status --short", "-r", "./vendor/library/inner");
  expect(third.sent).toContain("vendor/library/inner: no branch at");
});

/** All that undo brings back: not the times. */
function digestContents(): string[] {
  return digestDirectory(project)
    .map((line) => line.replace(/ (\d+ ){5}(?=\S*$)/, " "))
    .filter((line) => !/\.git\/(logs|ORIG_HEAD|index)/.test(line));
}
