import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Snapshot } from "../../host/repository/snapshot.ts";

const ENVIRONMENT = {
  PATH: process.env["PATH"],
  HOME: "/nonexistent",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_OPTIONAL_LOCKS: "0",
  GIT_AUTHOR_NAME: "a",
  GIT_AUTHOR_EMAIL: "a@b",
  GIT_COMMITTER_NAME: "a",
  GIT_COMMITTER_EMAIL: "a@b",
};

/** Runs git as somebody without settings, who also sees a snapshot's objects. Throws with what it wrote if it fails. */
export function plainGit(directory: string, args: readonly string[], input?: Buffer, snapshot?: Snapshot): Buffer {
  const env = { ...ENVIRONMENT, GIT_ALTERNATE_OBJECT_DIRECTORIES: snapshot?.objectDirectories.join(":") };
  return execFileSync("git", args, { cwd: directory, env, input, stdio: ["pipe", "pipe", "pipe"] });
}

/** Makes of a snapshot's commits what an agent makes of them: HEAD, branch, index and work tree. */
export function restoreSnapshot(snapshot: Snapshot, directory: string): void {
  const { head, branch, index, untracked, intentToAdd, objectDirectories, objectFormat } = snapshot;
  mkdirSync(directory);
  const git = (...args: string[]): Buffer => plainGit(directory, args);
  git("init", "-q", "-b", "none", `--object-format=${objectFormat}`);
  writeFileSync(join(directory, ".git/objects/info/alternates"), objectDirectories.map((path) => `${path}\n`).join(""));
  git("read-tree", "--reset", "-u", untracked);
  if (branch !== undefined) git("symbolic-ref", "HEAD", branch);
  if (head !== undefined) git("update-ref", ...(branch === undefined ? ["--no-deref"] : []), "HEAD", head);
  git("read-tree", "--reset", index);
  const paths = Buffer.from(intentToAdd.map((path) => `${path}\0`).join(""), "latin1");
  if (paths.length > 0) {
    const args = ["--literal-pathspecs", "add", "--intent-to-add", "--pathspec-from-file=-", "--pathspec-file-nul"];
    plainGit(directory, args, paths);
  }
  try {
    git("update-index", "-q", "--refresh");
  } catch {
    // Something differs.
  }
}
