import childProcess from "node:child_process";
import fs, { readFileSync } from "node:fs";
import promises from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { applyToWorkTree } from "../../host/repository/apply-work-tree.ts";
import { Journal } from "../../host/repository/journal.ts";
import { prepareChanges, type SessionChanges } from "../../host/repository/session-changes.ts";
import { undoApply } from "../../host/repository/undo.ts";
import { findRepository } from "../../host/repository/user-repository.ts";

/** What a process of its own is to do, as JSON in the file that its first argument names. */
export interface GivenToProcess {
  action: "apply" | "undo";
  directory: string;
  undoDirectory: string;
  session: Omit<SessionChanges, "patch"> & { patch: string };
}

/** What changes something, or starts a git. */
const CALLS = {
  sync: [
    "writeFileSync",
    "renameSync",
    "linkSync",
    "symlinkSync",
    "copyFileSync",
    "rmSync",
    "mkdirSync",
    "rmdirSync",
    "unlinkSync",
    "chmodSync",
    "utimesSync",
  ],
  later: ["writeFile", "rename", "link", "unlink", "mkdir", "rmdir", "symlink", "copyFile", "chmod", "utimes", "rm"],
};
type Table = Record<string, (...args: unknown[]) => unknown>;

const given = JSON.parse(readFileSync(process.argv[2]!, "utf8")) as GivenToProcess;
// Which call of which function the process does not survive; "any" for all that change something, "replace" for the renames
// of the user's files and "renameSync" for the other ones. Without a count it lives, and says how many there were.
const [call = "any", count = "0"] = process.argv.slice(3);
let left = Number(count);
let calls = 0;
const die = (): void => {
  calls += 1;
  if (--left === 0) process.kill(process.pid, "SIGKILL");
};

const wrap = (table: Table, name: string, isMine: (args: unknown[]) => boolean = () => true): void => {
  const real = table[name]!;
  table[name] = (...args) => {
    const result = real(...args);
    if (!isMine(args)) return result;
    if (result instanceof Promise) void result.then(die, die);
    else die();
    return result;
  };
};
if (call === "any") {
  for (const name of CALLS.sync) wrap(fs as unknown as Table, name);
  for (const name of CALLS.later) wrap(promises as unknown as Table, name);
  wrap(childProcess as unknown as Table, "spawn");
} else {
  const isUsers = ([, path]: unknown[]): boolean =>
    String(path).startsWith(`${given.directory}/`) && !String(path).startsWith(`${given.directory}/.git/`);
  const isMine = (args: unknown[]): boolean => isUsers(args) === (call === "replace");
  wrap(fs as unknown as Table, call === "replace" ? "renameSync" : call, isMine);
}
syncBuiltinESMExports();

const signal = new AbortController().signal;
const repository = await findRepository(given.directory, { signal });
if (given.action === "apply") {
  const session = { ...given.session, patch: Buffer.from(given.session.patch, "base64") };
  await using prepared = await prepareChanges(repository, session, { signal });
  using journal = Journal.open(given.undoDirectory, repository.workTree);
  await applyToWorkTree(repository, prepared, { stage: true, journal, signal });
} else {
  using journal = Journal.open(given.undoDirectory, repository.workTree);
  await undoApply(repository, { journal, signal });
}
console.log(calls);
