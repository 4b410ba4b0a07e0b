import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { git, gitLine, type GitPlace, tryGit } from "./git.ts";

let directory: string;
let place: GitPlace;
const signal = new AbortController().signal;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "git-runner-"));
  place = { settings: "user", cwd: directory };
  await git(place, ["init", "-q", "-b", "main", "."], { signal });
});
afterEach(() => {
  rmSync(directory, { recursive: true });
  vi.unstubAllEnvs();
});

test("runs no hook and no fsmonitor, and takes no repository from the environment", async () => {
  const ran = join(directory, "ran");
  const program = join(directory, "program");
  writeFileSync(program, `#!/bin/sh\ntouch '${ran}'\n`, { mode: 0o755 });
  await git(place, ["config", "core.fsmonitor", program], { signal });
  writeFileSync(join(directory, ".git/hooks/post-checkout"), `#!/bin/sh\ntouch '${ran}'\n`, { mode: 0o755 });
  vi.stubEnv("GIT_DIR", "/nonexistent");
  await git(place, ["status"], { signal });
  await git(place, ["checkout", "-q", "--orphan", "other"], { signal });
  expect(existsSync(ran)).toBe(false);
});

test("takes the user's settings where they count, and nowhere else", async () => {
  const file = join(directory, "user-config");
  writeFileSync(file, "[core]\n\texcludesFile = /ours\n");
  vi.stubEnv("GIT_CONFIG_GLOBAL", file);
  expect(await gitLine(place, ["config", "core.excludesFile"], { signal })).toBe("/ours");
  expect(await tryGit({ ...place, settings: "none" }, ["config", "core.excludesFile"], { signal })).toMatchObject({
    code: 1,
  });
});

test("borrows from object directories with names that a list would cut", async () => {
  const other = join(directory, 'odd:"name');
  await git(place, ["init", "-q", "--bare", other], { signal });
  const id = await gitLine({ ...place, gitDirectory: other }, ["hash-object", "-w", "--stdin"], { signal, input: "x" });
  const borrowing = { ...place, alternates: [join(other, "objects"), "/nonexistent"] };
  expect(await gitLine(borrowing, ["cat-file", "-p", id], { signal })).toBe("x");
});

test("says what git said when it fails, and what is missing when it does not start", async () => {
  await expect(git(place, ["cat-file", "-p", "nothing"], { signal })).rejects.toMatchObject({
    reason: "GIT_FAILED",
    message: "git cat-file failed (exit code 128): fatal: Not a valid object name nothing",
  });
  await expect(git({ ...place, cwd: "/nonexistent" }, ["status"], { signal })).rejects.toMatchObject({
    reason: "GIT_NOT_FOUND",
  });
});

test("ends with the signal's reason when git is gone, and when it writes too much", async () => {
  const controller = new AbortController();
  const reason = new Error("given up");
  const waiting = git({ ...place, config: { "alias.wait": "!exec sleep 600" } }, ["wait"], {
    signal: controller.signal,
  });
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  const tooMuch = git({ ...place, config: { "alias.much": "!yes" } }, ["much"], { signal, maxOutputBytes: 1000 });
  await expect(tooMuch).rejects.toMatchObject({ reason: "OUTPUT_TOO_LARGE" });
});
