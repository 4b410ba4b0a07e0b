import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { editRandomly } from "./random-edits.ts";
import { plainGit } from "./restored-snapshot.ts";
import type { UserDirectory } from "./user-directory.ts";

/** What users do to index, HEAD and refs. */
const ACTIONS: ((user: UserDirectory) => void)[] = [
  (user) => user.git("add", "-A"),
  (user) => user.git("add", "-u"),
  (user) => user.git("add", "-A", "lib"),
  (user) => user.git("add", "-N", "."),
  (user) => user.git("rm", "-q", "-r", "--cached", "--ignore-unmatch", "lib"),
  (user) => user.git("commit", "-q", "--allow-empty", "-m", "more"),
  (user) => user.git("checkout", "-q", "--detach"),
  (user) => user.git("stash", "-q"),
  (user) => user.git("update-index", "--chmod=+x", "plain.txt"),
  (user) => user.git("reset", "-q", "HEAD~"),
  (user) => user.git("mv", "lib", "moved"),
  (user) => user.git("symbolic-ref", "HEAD", "refs/heads/not-yet"),
];

/** Edits a user's files, and does to their repository what users do, a few times each. */
export function workOnRandomly(user: UserDirectory, random: () => number): void {
  for (let step = 0; step < 3; step++) {
    editRandomly(user.root, random, { spareGit: true });
    try {
      ACTIONS[Math.floor(random() * ACTIONS.length * 1.3)]?.(user);
    } catch {
      // Not everything can be done at any time.
    }
  }
}

const KINDS: Record<string, (user: UserDirectory) => void> = {
  plain: (user) => user.makeRepository(),
  sha256: (user) => user.makeRepository("--object-format=sha256"),
  "before its first commit": (user) => {
    execFileSync("git", ["init", "-q", "-b", "main", user.root]);
    user.write(".gitignore", "*.ignored\nout/\n");
    user.write("lib/a.ts", "a\n");
    user.git("add", "-A");
  },
  "a linked worktree": (user) => {
    user.makeRepository();
    user.git("worktree", "add", "-q", "../linked", "-b", "linked");
    user.root = join(user.area, "linked");
  },
  "a sparse checkout": (user) => {
    user.makeRepository();
    user.git("sparse-checkout", "set", "--cone", "lib");
  },
  "a shallow clone": (user) => {
    user.makeRepository();
    user.git("commit", "-q", "--allow-empty", "-m", "more");
    const origin = user.root;
    user.root = join(user.area, "clone");
    plainGit(user.area, ["clone", "-q", "--depth", "1", `file://${origin}`, user.root]);
  },
};

const SETTINGS = [
  ["core.autocrlf", "true"],
  ["core.autocrlf", "input"],
  ["core.fileMode", "false"],
  ["core.splitIndex", "true"],
] as const;

/** Makes a user's directory a repository of any kind, with settings that matter, in any state. Returns what it is. */
export function makeRandomly(user: UserDirectory, random: () => number): string {
  const kinds = Object.keys(KINDS);
  const kind = random() < 0.4 ? "plain" : kinds[Math.floor(random() * kinds.length)]!;
  KINDS[kind]!(user);
  const setting = random() < 0.3 ? SETTINGS[Math.floor(random() * SETTINGS.length)] : undefined;
  if (setting !== undefined) user.git("config", ...setting);
  workOnRandomly(user, random);
  return [kind, ...(setting ?? [])].join(" ");
}
