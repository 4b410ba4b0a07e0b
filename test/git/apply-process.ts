import fs, { readFileSync } from "node:fs";
import promises from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { applyToWorkTree } from "../../host/repository/apply-work-tree.ts";
import { Journal } from "../../host/repository/journal.ts";
import { prepareChanges, type SessionChanges } from "../../host/repository/session-changes.ts";
import { findRepository } from "../../host/repository/user-repository.ts";

// A process of its own that is killed at a certain point: applies what the file in the first argument says, until a function
// of the file system has been called for the n-th time.
const given = JSON.parse(readFileSync(process.argv[2]!, "utf8")) as {
  directory: string;
  undoDirectory: string;
  session: Omit<SessionChanges, "patch"> & { patch: string };
};
const [call, count] = process.argv.slice(3) as [string, string];
const table = (call.endsWith("Sync") ? fs : promises) as unknown as Record<string, (...args: unknown[]) => unknown>;
const real = table[call]!;
let left = Number(count);
const die = (): void => {
  if (--left === 0) process.kill(process.pid, "SIGKILL");
};
table[call] = (...args) => {
  const result = real(...args);
  // Of files only those of the user count.
  if (call.endsWith("Sync")) die();
  else if (String(args[1]).startsWith(`${given.directory}/`)) void (result as Promise<unknown>).then(die);
  return result;
};
syncBuiltinESMExports();

const signal = new AbortController().signal;
const repository = await findRepository(given.directory, { signal });
const session = { ...given.session, patch: Buffer.from(given.session.patch, "base64") };
await using prepared = await prepareChanges(repository, session, { signal });
using journal = Journal.open(given.undoDirectory, repository.workTree);
await applyToWorkTree(repository, prepared, { stage: true, journal, signal });
