import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { plainGit } from "../../test/git/restored-snapshot.ts";
import { makeUserDirectory, type UserDirectory } from "../../test/git/user-directory.ts";
import { readComplaints } from "./work-tree-status.ts";

let user: UserDirectory;

beforeEach(() => {
  user = makeUserDirectory();
});

/** Something staged, changed, gone and new. */
function edit(): void {
  user.write("lib/a.ts", "staged\n");
  user.git("add", "lib/a.ts");
  user.write("lib/a.ts", "changed\n");
  rmSync(join(user.root, "dir/one"));
  user.write("lib/new.ts", "new\n");
}

test("takes a linked work tree, and touches neither it nor the one that it is linked to", async () => {
  user.makeRepository();
  const main = user.root;
  user.write("lib/b.ts", "only in the main work tree\n");
  user.root = join(user.area, "linked");
  execFileSync("git", ["worktree", "add", "-q", "-b", "side", user.root], { cwd: main, stdio: "ignore" });
  edit();
  const snapshot = await user.takeUntouched({}, [main]);
  expect(snapshot).toMatchObject({ root: user.root, branch: "refs/heads/side" });
  expect(snapshot.receipt).toMatchObject({ staged: 1, changed: 2, untracked: 1 });
  const [, index] = plainGit(user.root, ["rev-parse", "HEAD", ":lib/a.ts"]).toString().split("\n");
  const inIndex = plainGit(user.storeDirectory, ["ls-tree", snapshot.index, "lib/a.ts"], undefined, snapshot);
  expect(inIndex.toString()).toContain(index);
});

test("takes a repository with SHA-256", async () => {
  user.makeRepository("--object-format=sha256");
  edit();
  const snapshot = await user.takeUntouched();
  expect(snapshot.objectFormat).toBe("sha256");
  expect(snapshot.untracked).toHaveLength(64);
  user.expectInside(snapshot);
});

test("takes a split index, one with an untracked cache, and one of the fourth version", async () => {
  user.makeRepository();
  user.git("update-index", "--split-index");
  edit();
  user.expectInside(await user.takeUntouched());
  user.git("update-index", "--no-split-index", "--untracked-cache", "--index-version", "4");
  user.git("status");
  user.expectInside(await user.takeUntouched());
});

test.each(["--no-sparse-index", "--sparse-index"])(
  "takes a sparse checkout (%s) as the whole that git says it is",
  async (flag) => {
    user.makeRepository();
    user.git("sparse-checkout", "set", "--cone", flag, "lib");
    user.write("lib/a.ts", "changed\n");
    const snapshot = await user.takeUntouched();
    expect(snapshot.receipt).toMatchObject({ staged: 0, changed: 1, untracked: 0, leftOut: [] });
    const paths = plainGit(
      user.storeDirectory,
      ["ls-tree", "-r", "--name-only", snapshot.untracked],
      undefined,
      snapshot,
    );
    expect(paths.toString()).toContain("dir/one\n");
  },
);

test("takes objects that the repository itself borrows", async () => {
  user.makeRepository();
  const origin = user.root;
  user.root = join(user.area, "borrower");
  execFileSync("git", ["clone", "-q", "--shared", origin, user.root]);
  edit();
  user.expectInside(await user.takeUntouched({}, [origin]));
});

test("takes a plain directory, with what its .gitignore says", async () => {
  mkdirSync(user.root);
  user.write(".gitignore", "*.log\n");
  user.write("a/b.txt", "b\n");
  user.write("x.log", "x\n");
  const snapshot = await user.takeUntouched({ path: join(user.root, "a") });
  expect(snapshot).toMatchObject({ kind: "directory", root: join(user.root, "a"), head: undefined, branch: undefined });
  const whole = await user.takeUntouched({ storeDirectory: join(user.area, "whole") });
  expect(whole.receipt).toMatchObject({ commit: undefined, untracked: 2, leftOut: [{ kind: "ignored", count: 1 }] });
  const paths = plainGit(join(user.area, "whole"), ["ls-tree", "-r", "--name-only", whole.untracked]);
  expect(paths.toString()).toBe(".gitignore\na/b.txt\n");
});

test("does not wait for who holds the index, nor takes the lock away", async () => {
  user.makeRepository();
  edit();
  writeFileSync(join(user.root, ".git/index.lock"), "");
  const snapshot = await user.takeUntouched();
  expect(snapshot.receipt).toMatchObject({ staged: 1, changed: 2, untracked: 1 });
});

test("converts as the user's git does", async () => {
  user.makeRepository();
  user.git("config", "core.autocrlf", "input");
  user.git("config", "core.fileMode", "false");
  user.write("lib/a.ts", "one\r\ntwo\r\n");
  user.write("dos.auto", "one\r\ntwo\r\nthree\r\n");
  user.write("plain.txt", "one\r\ntwo\r\n");
  user.write("new.ts", "one\r\ntwo\r\n");
  chmodSync(join(user.root, "lib/b.ts"), 0o755);
  const snapshot = await user.takeUntouched();
  user.git("add", "-A");
  expect(
    plainGit(user.storeDirectory, ["rev-parse", `${snapshot.untracked}^{tree}`], undefined, snapshot).toString(),
  ).toBe(user.git("write-tree"));
});

test("runs the user's own clean filters, and leaves out what they do not take", async () => {
  user.makeRepository();
  user.write(".gitattributes", "*.up filter=up\n*.bad filter=bad\n");
  user.git("config", "filter.up.clean", "tr a-z A-Z");
  user.git("config", "filter.bad.clean", "false");
  user.git("config", "filter.bad.required", "true");
  user.write("a.up", "loud\n");
  for (const name of ["1", "2", "3"]) user.write(`${name}.bad`, "secret\n");
  const snapshot = await user.takeUntouched();
  expect(plainGit(user.storeDirectory, ["show", `${snapshot.untracked}:a.up`], undefined, snapshot).toString()).toBe(
    "LOUD\n",
  );
  expect(snapshot.receipt.leftOut).toEqual([{ kind: "unreadable", count: 3, paths: ["1.bad", "2.bad", "3.bad"] }]);
});

test("runs no hook, no fsmonitor, and nothing that a directory in the work tree configures", async () => {
  user.makeRepository();
  const program = join(user.area, "program");
  const ran = join(user.area, "ran");
  writeFileSync(program, `#!/bin/sh\ntouch '${ran}'\n`, { mode: 0o755 });
  user.git("config", "core.fsmonitor", program);
  for (const hook of ["post-index-change", "reference-transaction", "pre-auto-gc"]) {
    writeFileSync(join(user.root, ".git/hooks", hook), `#!/bin/sh\ntouch '${ran}'\n`, {
      mode: 0o755,
    });
  }
  execFileSync("git", ["init", "-q", join(user.root, "nested")]);
  plainGit(join(user.root, "nested"), ["config", "core.fsmonitor", program]);
  edit();
  rmSync(ran, { force: true });
  await user.takeUntouched();
  // Git's own discovery would take these files for a repository.
  const bare = join(user.root, "bare");
  execFileSync("git", ["init", "-q", "--bare", bare]);
  plainGit(bare, ["config", "core.fsmonitor", program]);
  await expect(user.take({ path: bare })).rejects.toMatchObject({ reason: "REPOSITORY_PATH_INVALID" });
  expect(existsSync(ran)).toBe(false);
});

test("refuses a repository that belongs to somebody else, with git's words", async () => {
  user.makeRepository();
  execFileSync("chown", ["-R", "4242", user.root]);
  await expect(user.take()).rejects.toMatchObject({
    reason: "REPOSITORY_PATH_INVALID",
    message: expect.stringContaining("safe.directory") as string,
  });
});

test("takes a link to a repository, and links out of it as links", async () => {
  user.makeRepository();
  symlinkSync("/etc/passwd", join(user.root, "passwd"));
  symlinkSync(user.root, join(user.area, "link"));
  const snapshot = await user.takeUntouched({ path: join(user.area, "link/lib") });
  expect(snapshot).toMatchObject({ root: user.root, subdirectory: "lib" });
  user.expectInside(snapshot);
});

test("takes ignored files that are named, and those that .worktreeinclude names where that is wished", async () => {
  user.makeRepository();
  user.write(".env", "PASSWORD=1\n");
  user.write("out/cache/a", "a\n");
  user.write("out/b", "b".repeat(100));
  user.write("local.ignored", "local\n");
  user.write(".worktreeinclude", "*.ignored\n");
  const named = await user.takeUntouched({ path: join(user.root, "lib"), include: ["../.env", "../out/cache"] });
  expect(named.receipt).toMatchObject({
    untracked: 3,
    included: [".env", "out/cache/a"],
    leftOut: [{ kind: "ignored", count: 2, paths: ["out/", "local.ignored"] }],
  });
  user.expectInside(named);
  const wished = await user.takeUntouched({ worktreeInclude: true });
  expect(wished.receipt.included).toEqual(["local.ignored"]);
  // A secret goes in where its name is spelled out, and nothing that git does not ignore is in it.
  user.write(".gitignore", "*.ignored\nout/\n.env\n*.pem\n");
  user.write(".worktreeinclude", "# ours\n.env\n*.pem\nout/*\n*.txt\n");
  for (const path of ["lib/.env", "server.pem", "out/small"]) user.write(path, "x\n");
  user.write("out/large", "x".repeat(200));
  const matched = await user.takeUntouched({ worktreeInclude: true, limits: { fileBytes: 150 } });
  expect(matched.receipt.included.toSorted()).toEqual([".env", "lib/.env", "out/b", "out/cache/a", "out/small"]);
  expect(matched.receipt.leftOut).toMatchObject([
    { kind: "ignored" },
    { kind: "secret", count: 1, paths: ["server.pem"] },
    { kind: "tooLarge", count: 1, paths: ["out/large"] },
  ]);
  await expect(user.take({ include: ["../outside"] })).rejects.toMatchObject({ reason: "INCLUDE_NOT_FOUND" });
  await expect(user.take({ include: ["nothing"] })).rejects.toMatchObject({ reason: "INCLUDE_NOT_FOUND" });
});

test("takes the content of what Git LFS keeps on top of its pointers, and does not run it", async () => {
  user.makeRepository();
  const pointer = (oid: string, size: number): string =>
    `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${size}\n`;
  const oid = "6c2ab1e3ad5d9a1a3a4b0f3a84cb4b2d9ce4ee0ba3e9b2e2ec9dcf5cd6d5ab4d";
  user.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
  user.write("data.bin", pointer(oid, 5));
  user.write("missing.bin", pointer(oid, 5));
  user.write("same.bin", pointer(createHash("sha256").update("same\n").digest("hex"), 5));
  user.git("add", "-A");
  user.git("commit", "-qm", "pointers");
  mkdirSync(join(user.root, ".git/lfs"));
  for (const name of ["clean", "process"])
    user.git("config", `filter.lfs.${name}`, `touch '${join(user.area, "ran")}'; cat`);
  user.git("config", "filter.lfs.required", "true");
  user.write("same.bin", "same\n");
  user.write("data.bin", "other\n");
  user.write("new.bin", "new\n");
  user.write("large.bin", "x".repeat(101));
  const snapshot = await user.takeUntouched({ limits: { fileBytes: 100 } });
  expect(existsSync(join(user.area, "ran"))).toBe(false);
  const show = (commit: string, path: string): string =>
    plainGit(user.storeDirectory, ["show", `${commit}:${path}`], undefined, snapshot).toString();
  for (const [path, content] of [
    ["same.bin", "same\n"],
    ["data.bin", "other\n"],
  ] as const) {
    const ofIt = pointer(createHash("sha256").update(content).digest("hex"), content.length);
    expect(show(snapshot.tracked, path)).toBe(ofIt);
    expect(show(snapshot.untracked, path)).toBe(content);
  }
  expect(show(snapshot.untracked, "new.bin")).toBe("new\n");
  expect(show(snapshot.untracked, "missing.bin")).toBe(pointer(oid, 5));
  expect(snapshot.large.toSorted()).toEqual(["data.bin", "new.bin", "same.bin"]);
  expect(snapshot.receipt).toMatchObject({
    changed: 1,
    untracked: 1,
    large: 3,
    leftOut: [
      { kind: "lfs", count: 1, paths: ["missing.bin"] },
      { kind: "tooLarge", count: 1, paths: ["large.bin"] },
    ],
  });
  // As git status of somebody who has no Git LFS would see it.
  const pointers = await user.take({ largeFiles: false });
  expect(show(pointers.untracked, "new.bin")).toContain("oid sha256:");
});

/** Makes a repository of one commit beside the user's. */
function makeLibrary(name: string, files: Record<string, string> = {}): string {
  const library = join(user.area, name);
  execFileSync("git", ["init", "-q", "-b", "main", library]);
  for (const [path, content] of Object.entries(files)) writeFileSync(join(library, path), content);
  plainGit(library, ["add", "-A"]);
  plainGit(library, ["commit", "-q", "--allow-empty", "-m", "first"]);
  return library;
}

function addSubmodule(directory: string, library: string, path: string): void {
  plainGit(directory, ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", library, path]);
  plainGit(directory, ["commit", "-qm", path]);
}

test("takes initialised submodules with their files, and names the others", async () => {
  user.makeRepository();
  const inner = makeLibrary("inner", { inside: "one\n" });
  const library = makeLibrary("library", { "a b": "one\n", gone: "one\n", staged: "one\n" });
  addSubmodule(library, inner, "deep/inner");
  for (const path of ["module", "unused", "closed"]) addSubmodule(user.root, library, path);
  const module = join(user.root, "module");
  plainGit(module, ["-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init"]);
  user.git("submodule", "--quiet", "deinit", "-f", "unused");
  plainGit(module, ["commit", "-q", "--allow-empty", "-m", "second"]);
  user.write("module/staged", "two\n");
  plainGit(module, ["add", "staged"]);
  rmSync(join(module, "gone"));
  user.write("module/new.txt", "untracked\n");
  user.write("module/.env", "SECRET=1\n");
  user.write("module/deep/inner/inside", "two\n");
  plainGit(join(user.root, "closed"), ["checkout", "-q", "--detach"]);
  user.write("closed/other", "x\n");
  const snapshot = await user.takeUntouched({ include: ["module/.env"] });
  expect(snapshot.receipt).toMatchObject({
    staged: 1,
    changed: 3, // The commit of module, a file that is gone, and one of the inner submodule.
    untracked: 3,
    included: ["module/.env"],
    submodules: ["module", "module/deep/inner", "closed"],
    leftOut: [{ kind: "submodule", count: 2, paths: ["unused", "closed/deep/inner"] }],
  });
  const show = (...args: string[]) => plainGit(user.storeDirectory, args, undefined, snapshot).toString();
  const head = plainGit(module, ["rev-parse", "HEAD"]).toString().trim();
  expect(show("ls-tree", snapshot.tracked, "module")).toContain(head);
  expect(show("ls-tree", "-r", "--name-only", snapshot.untracked, "module/").split("\n")).toEqual([
    ...["module/.env", "module/.gitmodules", "module/a b", "module/deep/inner/inside", "module/new.txt"],
    ...["module/staged", ""],
  ]);
  expect(show("show", `${snapshot.untracked}:module/deep/inner/inside`)).toBe("two\n");
  expect(snapshot.submodules.map(({ path, branch, head }) => [path, branch, head])).toEqual([
    ["module", "refs/heads/main", head],
    ["module/deep/inner", undefined, plainGit(join(module, "deep/inner"), ["rev-parse", "HEAD"]).toString().trim()],
    ["closed", undefined, plainGit(join(user.root, "closed"), ["rev-parse", "HEAD"]).toString().trim()],
  ]);
  // One commit reaches all of it.
  expect(show("rev-list", snapshot.untracked)).toContain(snapshot.submodules[1]!.index);
});

test("leaves a submodule in the middle of a merge a commit", async () => {
  user.makeRepository();
  addSubmodule(user.root, makeLibrary("library", { a: "one\n" }), "module");
  const module = join(user.root, "module");
  for (const side of ["left", "right"]) {
    plainGit(module, ["checkout", "-qB", side, "main"]);
    user.write("module/a", `${side}\n`);
    plainGit(module, ["commit", "-qam", side]);
  }
  expect(() => plainGit(module, ["merge", "left"])).toThrow();
  const snapshot = await user.takeUntouched();
  expect(snapshot.submodules).toEqual([]);
  expect(snapshot.receipt.leftOut).toEqual([{ kind: "submodule", count: 1, paths: ["module"] }]);
});

test("takes names that differ by case or unicode form alone, and counts each", async () => {
  user.makeRepository();
  for (const name of ["Read.me", "read.me", "caf\u00e9", "cafe\u0301"]) user.write(name, name);
  const snapshot = await user.takeUntouched();
  expect(snapshot.receipt).toMatchObject({ untracked: 4, leftOut: [] });
  user.expectInside(snapshot);
});

test("names a nested repository, with a commit or without one, and what is too large", async () => {
  user.makeRepository();
  for (const name of ["fresh", "used"]) execFileSync("git", ["init", "-q", join(user.root, name)]);
  user.write("fresh/file", "x\n");
  user.write("used/file", "x\n");
  plainGit(join(user.root, "used"), ["add", "-A"]);
  plainGit(join(user.root, "used"), ["commit", "-qm", "one"]);
  user.write("large", "");
  truncateSync(join(user.root, "large"), 300 * 1024 * 1024);
  user.write("small", "x\n");
  const { receipt, untracked } = await user.takeUntouched();
  expect(receipt).toMatchObject({
    untracked: 1,
    bytes: 2,
    leftOut: [
      { kind: "nestedRepository", count: 2, paths: ["fresh/", "used/"] },
      { kind: "tooLarge", count: 1, paths: ["large"] },
    ],
  });
  const names = plainGit(user.storeDirectory, ["ls-tree", "--name-only", untracked]).toString().split("\n");
  expect(names).toContain("small");
  expect(names.filter((name) => /^(fresh|used|large)$/.test(name))).toEqual([]);
});

test("names files that do not hold still, and takes each as it was at some moment", async () => {
  user.makeRepository();
  user.write(".gitattributes", "*.slow filter=slow\n");
  // A filter that changes what it reads, as an editor would at that moment.
  user.git("config", "filter.slow.clean", "cat; echo more >> restless.slow");
  user.write("restless.slow", "first\n");
  const snapshot = await user.take();
  expect(snapshot.receipt.changedWhileRead).toEqual(["restless.slow"]);
});

test("touches nothing of the user's when the store borrows from it by itself", async () => {
  user.makeRepository();
  user.write("lib/a.ts", "first\n");
  user.git("commit", "-qam", "other content");
  user.write("lib/a.ts", "export const a = 1;\n".repeat(40));
  await user.takeUntouched();
  writeFileSync(join(user.storeDirectory, "objects/info/alternates"), `${join(user.root, ".git/objects")}\n`);
  user.write("copy.ts", "export const b = 1;\n".repeat(40));
  const snapshot = await user.takeUntouched();
  user.expectInside(snapshot);
});

test("names directories that may not be looked into", () => {
  // What git 2.39.5 wrote.
  const stderr = "warning: could not open directory 'closed/in\u00fcn/': Permission denied\nwarning: another\n";
  expect(readComplaints(stderr)).toEqual([`${Buffer.from("closed/in\u00fcn").toString("latin1")}/`]);
});

test("removes what a killed snapshot left in the store", async () => {
  user.makeRepository();
  await user.take();
  const [old, young] = ["work-old", "work-young"].map((name) => join(user.storeDirectory, "claudecluster", name));
  for (const directory of [old!, young!]) mkdirSync(directory);
  utimesSync(old!, 1, 1);
  await user.take();
  expect([existsSync(old!), existsSync(young!)]).toEqual([false, true]);
});

test("takes settings that hold only where the repository is, and a submodule for itself", async () => {
  const library = join(user.area, "library");
  execFileSync("git", ["init", "-q", "-b", "main", library]);
  plainGit(library, ["commit", "-q", "--allow-empty", "-m", "first"]);
  user.makeRepository();
  user.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", library, "module");
  const settings = join(user.area, "settings");
  writeFileSync(join(user.area, "excludes"), "*.local\n");
  writeFileSync(
    settings,
    `[core]\n\texcludesFile = ${join(user.area, "excludes")}\n[filter "up"]\n\tclean = tr a-z A-Z\n\trequired\n`,
  );
  writeFileSync(join(user.area, "global"), `[includeIf "gitdir:${user.root}/"]\n\tpath = ${settings}\n`);
  vi.stubEnv("GIT_CONFIG_GLOBAL", join(user.area, "global"));
  onTestFinished(() => void vi.unstubAllEnvs());
  user.write("module/x.local", "x\n");
  user.write("module/.gitattributes", "*.up filter=up\n");
  user.write("module/a.up", "loud\n");
  const snapshot = await user.takeUntouched({ path: join(user.root, "module") });
  expect(snapshot).toMatchObject({ root: join(user.root, "module"), branch: "refs/heads/main" });
  expect(snapshot.receipt).toMatchObject({ untracked: 2, leftOut: [{ kind: "ignored", paths: ["x.local"] }] });
  const show = ["show", `${snapshot.untracked}:a.up`];
  expect(plainGit(user.storeDirectory, show, undefined, snapshot).toString()).toBe("LOUD\n");
});

test("does not count a file as changed whose line ends alone are others", async () => {
  user.makeRepository();
  user.write("plain.txt", "one\ntwo\nthree\n");
  expect((await user.takeUntouched()).receipt).toMatchObject({ staged: 0, changed: 0 });
});
