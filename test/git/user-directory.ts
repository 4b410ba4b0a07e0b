import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, vi } from "vitest";
import { type Snapshot, type SnapshotOptions, takeSnapshot } from "../../host/repository/snapshot.ts";
import { quotePath } from "../../proto/index.ts";
import { digestDirectory } from "./repository-digest.ts";
import { plainGit, restoreSnapshot } from "./restored-snapshot.ts";
import { readTree } from "./tree-snapshot.ts";

const FILES: Record<string, string> = {
  ".gitignore": "*.ignored\nout/\n",
  ".gitattributes": "*.txt text eol=crlf\n*.bin binary\n*.auto text=auto\n",
  "plain.txt": "one\r\ntwo\r\nthree\r\n",
  "dos.auto": "one\r\ntwo\r\n",
  "kept.ignored": "tracked although ignored\n",
  "data.bin": "\0\x01\x02\xff".repeat(200),
  "lib/a.ts": "export const a = 1;\n".repeat(40),
  "lib/b.ts": "export const b = 1;\n".repeat(40),
  "lib/deep/c.ts": "c\n",
  "dir/one": "1\n",
  "dir/two": "2\n",
  "run.sh": "#!/bin/sh\n",
  empty: "",
  "new\nline": "y\n",
  "-dash": "z\n",
};
const STATUS = ["status", "--porcelain=v2", "-z", "--untracked-files=all", "--ignore-submodules=dirty"];

/** A directory as a user has one, and a place for a store of ours beside it. */
export class UserDirectory implements Disposable {
  readonly area = mkdtempSync(join(tmpdir(), "user-directory-"));
  root = join(this.area, "user");
  readonly storeDirectory = join(this.area, "store");

  /** Makes it a repository with one commit of all kinds of files. */
  makeRepository(...initArgs: string[]): void {
    execFileSync("git", ["init", "-q", "-b", "main", ...initArgs, this.root]);
    for (const [path, content] of Object.entries(FILES)) this.write(path, content);
    chmodSync(join(this.root, "run.sh"), 0o755);
    symlinkSync("plain.txt", join(this.root, "link"));
    // As it was committed before there were attributes.
    this.write(".git/info/attributes", "dos.auto -text\n");
    this.git("add", "-f", "-A");
    rmSync(join(this.root, ".git/info/attributes"));
    this.git("commit", "-qm", "start");
  }

  git(...args: string[]): string {
    return plainGit(this.root, args).toString();
  }

  /** Writes a file, from the top, with the directories that it needs. */
  write(path: string, content: string): void {
    mkdirSync(join(this.root, path, ".."), { recursive: true });
    writeFileSync(join(this.root, path), Buffer.from(content, "latin1"));
  }

  take(options: Partial<SnapshotOptions> = {}): Promise<Snapshot> {
    const { root: path, storeDirectory } = this;
    return takeSnapshot({ path, storeDirectory, signal: new AbortController().signal, ...options });
  }

  /** Takes a snapshot, and sees that nothing of the user's was touched, in this directory or in others. */
  async takeUntouched(options: Partial<SnapshotOptions> = {}, others: readonly string[] = []): Promise<Snapshot> {
    const digest = (): string[] => [this.root, ...others].flatMap((directory) => digestDirectory(directory));
    const before = digest();
    const snapshot = await this.take(options);
    expect(digest()).toEqual(before);
    return snapshot;
  }

  /**
   * Expects a repository that is made of the snapshot to be as the user's: HEAD, index, status and files, but for what the
   * receipt says was left out. Content of files counts where nothing converts it. With `content: false`, after attributes have
   * changed, neither counts whether git takes it for changed: that depends on when it last looked.
   */
  expectInside(snapshot: Snapshot, { files = true, content = true } = {}): void {
    const inside = mkdtempSync(join(this.area, "inside-"));
    rmSync(inside, { recursive: true });
    restoreSnapshot(snapshot, inside);
    const leftOut = snapshot.receipt.leftOut.flatMap(({ kind, paths }) => (kind === "ignored" ? [] : paths));
    const [was, is] = [this.root, inside].map((directory) => this.#describe(directory, leftOut, content));
    expect({ ...is, ...(!files && { files: [] }) }).toEqual({ ...was, ...(!files && { files: [] }) });
    rmSync(inside, { recursive: true });
  }

  #describe(directory: string, leftOut: readonly string[], content: boolean): Record<string, unknown> {
    const lines = (...args: string[]): string[] => plainGit(directory, args).toString("latin1").split("\0");
    const out = (path: string): boolean => leftOut.includes(quotePath(path));
    const inHead =
      lines("rev-parse", "--revs-only", "HEAD")[0] === "" ? [] : lines("ls-tree", "-r", "-z", "--name-only", "HEAD");
    // What differs in nothing but its line ends, git takes for changed while its size is another one.
    const seen = lines(...STATUS).map((line) => (content && !line.endsWith(".txt") ? line : withoutContent(line)));
    const status = seen.filter((line) => {
      const path = line.startsWith("1 ") ? line.split(" ").slice(8).join(" ") : line.slice(2);
      // An intent to add what is gone again: there is nothing that could be said of it.
      return !line.startsWith("1 ..") && !out(path) && !(line.startsWith("1 .D") && !inHead.includes(path));
    });
    const listed = new Set(lines("ls-files", "-z", "--cached", "--others", "--exclude-standard"));
    const skip = (path: string): boolean => !listed.has(path) || out(path);
    const files = [...readTree(directory, skip)].map(([path, file]) => [
      path,
      content && !path.endsWith(".txt") ? file : file.slice(0, 6),
    ]);
    return {
      head: [readFileSync(join(directory, ".git/HEAD"), "utf8"), ...lines("rev-parse", "--revs-only", "HEAD")],
      status,
      index: plainGit(directory, ["write-tree"]).toString(),
      files: files.sort(([a = ""], [b = ""]) => (a < b ? -1 : 1)),
    };
  }

  [Symbol.dispose](): void {
    rmSync(this.area, { recursive: true, force: true });
  }
}

/** Makes a user's directory for one test, in which no settings of this machine count. It goes when the test is over. */
export function makeUserDirectory(): UserDirectory {
  const user = new UserDirectory();
  vi.stubEnv("GIT_CONFIG_GLOBAL", "/dev/null");
  vi.stubEnv("GIT_CONFIG_NOSYSTEM", "1");
  onTestFinished(() => {
    user[Symbol.dispose]();
    vi.unstubAllEnvs();
  });
  return user;
}

/** A line of the status without a change of nothing but a file's content in the work tree. */
function withoutContent(line: string): string {
  const [, xy = "", , , indexMode, workTreeMode] = line.split(" ");
  return line.startsWith("1 ") && xy.endsWith("M") && indexMode === workTreeMode
    ? line.replace(/^1 (.)M/, "1 $1.")
    : line;
}
