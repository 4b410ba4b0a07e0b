import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { Snapshot } from "../../host/repository/snapshot.ts";
import { differences } from "./clean-checkout.ts";
import { digestDirectory } from "./repository-digest.ts";
import { plainGit } from "./restored-snapshot.ts";
import { readTree, type TreeSnapshot } from "./tree-snapshot.ts";
import type { UserDirectory } from "./user-directory.ts";

/** Says of paths whether git ignores them in what a user's directory starts with: see its .gitignore. */
export function isIgnored(start: TreeSnapshot): (path: string) => boolean {
  return (path) => /\.ignored(\/|$)|(^|\/)out\//.test(path) && !start.has(path);
}

/** What is in a file's way: out of a sparse checkout, or of what git does not list or take. */
const IN_THE_WAY = [
  / outside of your sparse checkout\./,
  / lies in another repository/,
  / is a directory with .* in it/s,
  / is there, and not known to git/,
  / is no file/,
  / nothing that your git can take in/,
];

/** A user's directory as it was before a session, for comparing it with what is there later. */
export class RoundTrip {
  readonly #user: UserDirectory;
  readonly #digest: string[];
  readonly #content: string[];
  readonly #files: TreeSnapshot;
  readonly #overlooksModes: boolean;

  constructor(user: UserDirectory) {
    this.#user = user;
    this.#digest = digestDirectory(user.area);
    this.#content = this.#readContent();
    this.#files = readTree(user.root);
    this.#overlooksModes = user.git("config", "core.fileMode") === "false\n";
  }

  /** Expects that nothing of the user's has changed, not even a time; of objects that git has looked for only on wish. */
  expectUntouched({ objects = true } = {}): void {
    const counts = (line: string): boolean => objects || !line.includes("/.git/objects/");
    expect(digestDirectory(this.#user.area).filter(counts)).toEqual(this.#digest.filter(counts));
  }

  /**
   * Expects that something of the user's which did not go in was in the way of what came out, and that nothing was written.
   */
  expectBlocked(message: string): void {
    expect(
      IN_THE_WAY.filter((reason) => reason.test(message)),
      message,
    ).not.toEqual([]);
    this.expectUntouched({ objects: false });
  }

  /** Expects that an undo has brought back all that was. */
  expectUndone(): void {
    expect(this.#readContent()).toEqual(this.#content);
  }

  #readContent(): string[] {
    // Objects stay until git removes them, and directories of refs until it uses them again.
    return digestDirectory(this.#user.area, { facts: false }).filter(
      (line) =>
        !/\/\.git\/(?:objects\/|logs(?:\/refs| )|refs\/heads )/.test(line) &&
        !line.startsWith(this.#user.storeDirectory),
    );
  }

  /** Expects the user's files to be exactly a session's, and what did not go in to be as it was. */
  expectApplied({ start, end, now }: { start: TreeSnapshot; end: TreeSnapshot; now: Snapshot }): undefined {
    const expected: TreeSnapshot = new Map([...this.#files].filter(([path]) => !start.has(path)));
    for (const [path, file] of end) {
      // What the session has not changed is as it was, also where it was not there: out of a sparse checkout.
      const wanted = start.get(path) === file ? this.#files.get(path) : file;
      if (wanted !== undefined) expected.set(path, wanted);
    }
    const found = readTree(this.#user.root);
    for (const [path, file] of found) {
      const wanted = expected.get(path);
      if (wanted === undefined || wanted === file || start.get(path) === end.get(path)) continue;
      // The user's git may check out other line ends than Claude has written, and may be told to overlook modes.
      const mode = (this.#overlooksModes ? file : wanted).slice(0, 7);
      const isTheirs = [
        () => wanted.slice(7),
        () => this.#takenAndWritten(path, now),
        () => this.#checkedOut(path, end),
      ].some((content) => file === mode + content());
      if (isTheirs) found.set(path, wanted);
    }
    expect(differences(found, expected)).toEqual([]);
  }

  /** What the user's git checks out of a session's files, by the attributes among them, into an empty directory. */
  #checkedOut(path: string, end: TreeSnapshot): string {
    const directory = mkdtempSync(join(this.#user.area, "checked-out-"));
    try {
      const objects = join(directory, "objects");
      mkdirSync(objects);
      const run = (args: string[], input = ""): Buffer =>
        execFileSync("git", [`--work-tree=${directory}`, ...args], {
          cwd: directory,
          input: Buffer.from(input, "latin1"),
          env: {
            PATH: process.env["PATH"],
            HOME: "/nonexistent",
            GIT_CONFIG_NOSYSTEM: "1",
            GIT_DIR: this.#user.git("rev-parse", "--absolute-git-dir").trim(),
            GIT_INDEX_FILE: join(directory, "index"),
            GIT_OBJECT_DIRECTORY: objects,
          },
        });
      const kept = [...end].filter(([name]) => name === path || /(^|\/)\.gitattributes$/.test(name));
      const lines = kept.map(([name, file]) => {
        const id = run(["hash-object", "-w", "--stdin"], file.slice(7)).toString().trim();
        return `${file.slice(0, 6)} ${id}\t${name}\0`;
      });
      run(["update-index", "-z", "--index-info"], lines.join(""));
      run(["checkout-index", "-f", "-z", "--stdin"], `${path}\0`);
      return readTree(directory).get(path)?.slice(7) ?? "";
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  /** What the user's git would write of a file that is in a snapshot, read from there by its blob. */
  #takenAndWritten(path: string, snapshot: Snapshot): string {
    const run = (args: string[], input?: Buffer): string =>
      plainGit(this.#user.root, args, input, snapshot).toString("latin1");
    const listed = run(["ls-tree", "-r", "-z", "--full-tree", snapshot.untracked]).split("\0");
    const id = listed.find((line) => line.endsWith(`\t${path}`))?.split(/[ \t]/)[2] ?? "";
    const answer = run(["cat-file", "--batch", "--filters", "-z"], Buffer.from(`${id} ${path}\0`, "latin1"));
    return answer.slice(answer.indexOf("\n") + 1, -1);
  }
}
