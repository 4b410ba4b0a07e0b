import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { SessionSummary } from "../../host/present/session-summary.ts";
import { digestDirectory } from "../git/repository-digest.ts";
import { runGit } from "../git/work-area.ts";
import { claudecluster, type CommandOutcome } from "../support/claudecluster.ts";
import { type Rig, startRig } from "../support/rig.ts";

/** What git-lfs does to a file, with its objects in the same places. */
const FILTER = `#!/bin/sh
got=$(mktemp); trap 'rm -f "$got"' EXIT; cat > "$got"
lfs=$(git rev-parse --git-common-dir)/lfs/objects
if grep -aq '^version https://git-lfs' "$got"; then
  oid=$(sed -n 's/^oid sha256://p' "$got")
  if [ "$1" = smudge ] && [ -f "$lfs/$oid" ]; then cat "$lfs/$oid"; else cat "$got"; fi
elif [ "$1" = clean ]; then
  oid=$(sha256sum < "$got" | cut -c1-64)
  mkdir -p "$lfs"; cp "$got" "$lfs/$oid"
  printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%s\\nsize %s\\n' "$oid" "$(wc -c < "$got")"
else cat "$got"; fi
`;
const pointer = (content: string) =>
  `version https://git-lfs.github.com/spec/v1\noid sha256:${createHash("sha256").update(content).digest("hex")}\nsize ${content.length}\n`;
const CONTENT = "first\0\n".repeat(1000);

let rig: Rig;
let project: string;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig[Symbol.asyncDispose]());

beforeEach(() => {
  const area = mkdtempSync(join(tmpdir(), "claudecluster-large-"));
  project = join(area, "project");
  runGit(area, "init", "-q", "-b", "main", project);
  writeFileSync(join(area, "filter"), FILTER);
  chmodSync(join(area, "filter"), 0o755);
  for (const what of ["clean", "smudge"]) runGit(project, "config", `filter.lfs.${what}`, `${area}/filter ${what}`);
  runGit(project, "config", "filter.lfs.required", "true");
  write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
  for (const name of ["kept.bin", "edited.bin", "dir/a b.bin"]) write(name, `${name}${CONTENT}`);
  write("plain", "one\n");
  runGit(project, "add", "-A");
  // As it comes with a clone of pointers alone.
  write("absent.bin", pointer("elsewhere"));
  runGit(project, "add", "-A");
  runGit(project, "commit", "-qm", "one");
  expect(runGit(project, "show", "HEAD:kept.bin")).toMatch(/^version https/);
  write("dir/a b.bin", "changed\n");
  write("untracked.bin", "untracked\n");
  return () => rmSync(area, { recursive: true });
});

function write(path: string, content: string): void {
  mkdirSync(join(project, path, ".."), { recursive: true });
  writeFileSync(join(project, path), content);
}

const cli = (...args: string[]): Promise<CommandOutcome> => claudecluster(rig.mcp.place, args, { cwd: project });

async function run(command: string, ...args: string[]): Promise<SessionSummary> {
  const scenario = `[scenario: call-tools ${JSON.stringify([{ name: "Bash", input: { command } }])}]`;
  const { stdout, stderr } = await cli("run", scenario, ...args, "--json");
  expect(stdout, stderr).not.toBe("");
  const summary = JSON.parse(stdout) as SessionSummary;
  expect(summary, stderr).toMatchObject({ state: "succeeded" });
  return summary;
}

const read = (path: string): string => readFileSync(join(project, path), "latin1");

test("files of Git LFS have their content inside, and git says of them what it says outside", async () => {
  const command = "git status --porcelain=v2 --branch; sha256sum *.bin 'dir/a b.bin'; git show HEAD:kept.bin";
  const outside = execFileSync("sh", ["-c", command], { cwd: project, encoding: "utf8" });
  const before = digestDirectory(project);
  const restored =
    "rm kept.bin; echo x > edited.bin; git checkout -q -- kept.bin edited.bin; sha256sum kept.bin edited.bin";
  const { result, sent, change_count, not_in_patch, ...rest } = await run(
    `${command}; ${restored}; git status --short`,
  );
  for (const line of outside.trimEnd().split("\n")) expect(result).toContain(line.trim());
  expect(result?.match(new RegExp(createHash("sha256").update(`kept.bin${CONTENT}`).digest("hex"), "g"))).toHaveLength(
    3,
  );
  expect(sent).toContain("with the content of 4 files of LFS");
  expect(sent).toContain("1 of LFS, as pointers (absent.bin)");
  expect({ change_count, not_in_patch }).toEqual({ change_count: 0 });
  expect(JSON.stringify(rest)).toContain(
    "filter lfs of .gitattributes does not run in a container: 1 file, such as absent.bin",
  );
  expect(digestDirectory(project)).toEqual(before);
});

test("what Claude makes of files of Git LFS comes back as files, and is stored as the user's git stores it", async () => {
  const { session_id, not_in_patch } = await run(
    [
      "printf 'second' > edited.bin; printf 'new' > new.bin; echo two > plain",
      "git add edited.bin new.bin; git commit -qm two; git show HEAD:edited.bin; printf 'staged' > kept.bin; git add kept.bin",
    ].join("; "),
  );
  expect(not_in_patch).toBeUndefined();
  const branch = await cli("apply", session_id, "--json");
  expect(branch.code, branch.stderr).toBe(0);
  const made = (JSON.parse(branch.stdout) as { branch: string }).branch;
  expect(runGit(project, "show", `${made}:edited.bin`)).toBe(pointer("second"));
  expect(runGit(project, "show", `${made}:new.bin`)).toBe(pointer("new"));
  expect(runGit(project, "show", `${made}^:dir/a b.bin`)).toBe(pointer("changed\n"));
  expect(runGit(project, "diff", "--name-only", `${made}^`, made).split("\n")).toEqual([
    "edited.bin",
    "kept.bin",
    "new.bin",
    "plain",
    "",
  ]);
  // Content is where the filter keeps it.
  expect(read(`.git/lfs/objects/${createHash("sha256").update("second").digest("hex")}`)).toBe("second");
  expect((await cli("undo")).code).toBe(0);

  const written = await cli("apply", session_id, "--worktree", "--stage");
  expect(written.code, written.stderr).toBe(0);
  expect([read("edited.bin"), read("new.bin"), read("kept.bin")]).toEqual(["second", "new", "staged"]);
  expect(runGit(project, "show", ":edited.bin")).toBe(pointer("second"));
  expect(runGit(project, "status", "--porcelain").split("\n")).toEqual([
    ' M "dir/a b.bin"',
    "M  edited.bin",
    "M  kept.bin",
    "A  new.bin",
    "M  plain",
    "?? untracked.bin",
    "",
  ]);
  expect((await cli("undo")).code).toBe(0);
  expect(read("edited.bin")).toBe(`edited.bin${CONTENT}`);
  expect(runGit(project, "status", "--porcelain")).toBe(' M "dir/a b.bin"\n?? untracked.bin\n');
});

test("a session goes on with files of Git LFS that another one has changed, and a conflict in one is named", async () => {
  const first = await run("printf second > edited.bin");
  const second = await run("cat edited.bin; git status --short", "--continue", first.session_id);
  expect(second.result).toContain("second");
  write("edited.bin", "mine");
  const refused = await cli("apply", first.session_id, "-w");
  expect([refused.code, refused.stdout], refused.stderr).toEqual([5, expect.stringContaining("conflict: edited.bin")]);
});
