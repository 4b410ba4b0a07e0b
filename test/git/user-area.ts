import { createHash } from "node:crypto";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileChange_Kind, type ListedChanges } from "../../proto/index.ts";
import type { Files } from "./random-trees.ts";
import { writeFiles } from "./random-trees.ts";

/** A user's repository among the temporary files, with whatever a session may have made of it. */
export class UserArea implements Disposable {
  readonly top = mkdtempSync(join(tmpdir(), "cc-user-"));
  readonly directory = join(this.top, "repository");
  readonly undoDirectory = join(this.top, "undo");
  /** Where objects are that the repository itself does not have. */
  borrowed = "";

  constructor(files: Files) {
    mkdirSync(this.directory);
    this.git("init", "-q", "-b", "main");
    this.git("config", "user.name", "User");
    this.git("config", "user.email", "user@example.com");
    this.put(files);
    this.git("add", "-A", "-f");
    this.git("commit", "-qm", "start", "--allow-empty");
  }

  /** The commit that is checked out. */
  get head(): string {
    return this.git("rev-parse", "HEAD").trim();
  }

  /** Runs git as the user would. */
  git(...args: string[]): string {
    return this.gitWith({}, ...args);
  }

  /** The same with something on standard input or in the environment. */
  gitWith({ input, env = {} }: { input?: Buffer; env?: Record<string, string> }, ...args: string[]): string {
    return execFileSync("git", args, {
      cwd: this.directory,
      env: {
        PATH: process.env["PATH"],
        HOME: this.top,
        GIT_CONFIG_NOSYSTEM: "1",
        LC_ALL: "C",
        GIT_ALTERNATE_OBJECT_DIRECTORIES: this.borrowed,
        ...env,
      },
      encoding: "latin1",
      stdio: ["pipe", "pipe", "pipe"],
      ...(input !== undefined && { input }),
      maxBuffer: 1 << 28,
    });
  }

  /** Makes the work tree hold these files and no others but ignored ones. */
  put(files: Files): void {
    const find = [".", "-mindepth", "1", "-maxdepth", "1", "!", "-name", ".git", "-exec", "rm", "-rf", "--", "{}", "+"];
    execFileSync("find", find, { cwd: this.directory });
    writeFiles(this.directory, files);
  }

  /** Returns the tree of some files, made in an index beside the user's. */
  tree(files: Files): string {
    const index = join(this.top, "tree.index");
    rmSync(index, { force: true });
    this.#store(files);
    let text = "";
    for (const [path, { mode, content }] of files) text += `${mode} ${this.#blobs.get(content)}\t${path}\0`;
    const env = { GIT_INDEX_FILE: index };
    this.gitWith({ input: Buffer.from(text, "latin1"), env }, "update-index", "-z", "--index-info");
    return this.gitWith({ env }, "write-tree").trim();
  }

  readonly #blobs = new Map<string, string>();
  /** All in one, since each start of a git takes its time. */
  #store(files: Files): void {
    const missing = [...new Set([...files.values()].map(({ content }) => content))].filter(
      (each) => !this.#blobs.has(each),
    );
    if (missing.length === 0) return;
    const paths = missing.map((content, at) => {
      const path = join(this.top, `blob-${at}`);
      writeFileSync(path, Buffer.from(content, "latin1"));
      return `${path}\n`;
    });
    const input = Buffer.from(paths.join(""));
    const ids = this.gitWith({ input }, "hash-object", "-w", "--no-filters", "--stdin-paths").split("\n");
    missing.forEach((content, at) => this.#blobs.set(content, ids[at]!));
  }

  /** Returns what a session would hand over that made `result` of the start. */
  changes(start: string, result: Files, sessionId = "ses_01JAAAAAAAAAAAAAAAAAAAAAAA") {
    const treeId = this.tree(result);
    const flags = ["--binary", "--full-index", "--no-renames", "--src-prefix=a/", "--dst-prefix=b/"];
    const patch = Buffer.from(this.git("diff-tree", "-p", ...flags, start, treeId), "latin1");
    const names = this.git("diff-tree", "-r", "--no-renames", "--name-status", start, treeId);
    const kinds: Record<string, FileChange_Kind> = { A: FileChange_Kind.ADDED, D: FileChange_Kind.DELETED };
    const changes = names.split("\n").flatMap((line) => {
      const [status = "", path] = line.split("\t");
      if (path === undefined) return [];
      return [{ path, previousPath: "", kind: kinds[status] ?? FileChange_Kind.MODIFIED }];
    });
    const listed: ListedChanges = { changes, changeCount: changes.length };
    return { sessionId, startCommitId: start, startFrom: "", patch, listed, treeId };
  }

  /** Everything that must not change: files and directories with modes, ignored ones too, the index, refs, what git is in the middle of. */
  state(): Map<string, string> {
    const state = new Map<string, string>();
    const visit = (relative: Buffer): void => {
      for (const name of readdirSync(Buffer.concat([Buffer.from(`${this.directory}/`), relative]), {
        encoding: "buffer",
      })) {
        const path = relative.length === 0 ? name : Buffer.concat([relative, Buffer.from("/"), name]);
        const full = Buffer.concat([Buffer.from(`${this.directory}/`), path]);
        const key = path.toString("latin1");
        if (key === ".git/objects") continue;
        const stat = lstatSync(full);
        if (stat.isDirectory()) {
          if (!key.startsWith(".git")) state.set(`${key}/`, stat.mode.toString(8));
          visit(path);
        } else if (stat.isSymbolicLink()) state.set(key, `link ${readlinkSync(full, "latin1")}`);
        else state.set(key, `${stat.mode.toString(8)} ${createHash("sha1").update(readFileSync(full)).digest("hex")}`);
      }
    };
    visit(Buffer.alloc(0));
    return state;
  }

  /** Whether something is in the work tree. */
  has(path: string): boolean {
    return existsSync(join(this.directory, path));
  }

  [Symbol.dispose](): void {
    rmSync(this.top, { recursive: true, force: true });
  }
}
