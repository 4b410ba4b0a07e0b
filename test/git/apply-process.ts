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
  sync: ["writeFileSync", "renameSync", "linkSync", "rmSync", "mkdirSync", "unlinkSync", "chmodSync"],
  later: ["writeFile", "rename", "link", "unlink", "mkdir", "rmdir", "symlink", "copyFile", "chmod", "utimes", "rm"],
};
type Table = Record<string, (...args: unknown[]) => unknown>;

const given = JSON.parse(readFileSync(process.argv[2]!, "utf8")) as GivenToProcess;
// Which call of which function the process does not survive; "any" for all that change something. Without a count it
// lives, and says how many there were.
const [call = "any", count = "0"] = process.argv.slice(3);
let left = Number(count);
let calls = 0;
const die = (): void => {
  calls += 1;
  if (--left === 0) process.kill(process.pid, "SIGKILL");
};

const wrap = (table: Table, name: string, isMine: (args: unknown[]) => boolean): void => {
  const real = table[name]!;
  table[name] = (...args) => {
    const result = real(...args);
    if (!isMine(args)) return result;
    if (result instanceof Promise) void result.then(die, die);
    else die();
    return result;
  };
};
const isIn = (name: string): boolean => call === "any" || call === name;
for (const name of CALLS.sync.filter(isIn)) wrap(fs as unknown as Table, name, () => true);
// Of one function's files only those of the user count.
const isUsers = ([, path]: unknown[]): boolean => call === "any" || String(path).startsWith(`${given.directory}/`);
for (const name of CALLS.later.filter(isIn)) wrap(promises as unknown as Table, name, isUsers);
if (call === "any") wrap(childProcess as unknown as Table, "spawn", () => true);
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
