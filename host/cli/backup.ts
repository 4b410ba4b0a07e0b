import { open } from "node:fs/promises";
import { AppError } from "../../proto/index.ts";
import { backUp } from "../backup/back-up.ts";
import { readBackup, requireEmpty } from "../backup/restore.ts";
import type { HostLink } from "../daemon/host-link.ts";
import type { HostDirectories } from "../directories.ts";
import { ExclusiveLock, hostLockPath } from "../exclusive-lock.ts";
import { writeNewFile } from "../new-file.ts";
import { plural } from "../present/plural.ts";
import { sizeText } from "../present/sent-text.ts";
import { makeStateDirectory } from "../state-directory.ts";
import { type CommandIo, EXIT } from "./command-io.ts";

const NO_SECRETS = "Credentials, tokens and settings are not in it: keep config.json yourself.";

/**
 * Writes a backup of this machine's sessions into a new file, for this user alone: whole, or not at all. Throws HOST_ELSEWHERE,
 * FILE_UNUSABLE, and what `backUp` throws.
 */
export async function backupCommand(
  file: string,
  { stateDirectory }: HostDirectories,
  { env, signal, stdout }: CommandIo,
): Promise<number> {
  requireHere(env);
  const made = await writeNewFile(file, (write) => backUp(stateDirectory, { write, signal }));
  stdout.write(`${file}: ${plural(made.sessionCount, "session")}, ${sizeText(made.sizeBytes)}. ${NO_SECRETS}\n`);
  return EXIT.done;
}

/**
 * Restores the sessions of a backup, where no host runs; with `shutdown` it is ended once the backup is known to be whole. With
 * `replace` those that are there go. Throws HOST_ELSEWHERE, HOST_RUNNING, and what `readBackup` and its `takePlace` throw.
 */
export async function restoreCommand(
  link: Pick<HostLink, "find" | "stopHost" | "gone">,
  { file, replace, shutdown }: { file: string; replace: boolean; shutdown: boolean },
  { stateDirectory }: HostDirectories,
  { env, signal, stdout }: CommandIo,
): Promise<number> {
  requireHere(env);
  if (!replace) requireEmpty(stateDirectory);
  await using input = await open(file, "r");
  makeStateDirectory(stateDirectory);
  // Before a large file is read in vain.
  using _early = shutdown ? undefined : takeHostLock(stateDirectory);
  const bytes = input.createReadStream({ autoClose: false });
  await using backup = await readBackup(stateDirectory, { input: bytes, signal });
  if (shutdown) {
    // Sessions that were begun meanwhile are no reason to end a host either.
    if (!replace) requireEmpty(stateDirectory);
    await endHost(link);
  }
  using _late = shutdown ? takeHostLock(stateDirectory) : undefined;
  const { sessionCount, releasedCount } = await backup.takePlace({ replace });
  stdout.write(`Restored ${plural(sessionCount, "session")}. The next command starts a host with them.\n`);
  if (releasedCount > 0) {
    const what = plural(releasedCount, "session");
    stdout.write(`${what} had a container of the host that was backed up: here they end with what they had changed.\n`);
  }
  return EXIT.done;
}

async function endHost(link: Pick<HostLink, "find" | "stopHost" | "gone">): Promise<void> {
  if ((await link.find()) === undefined) return;
  await link.stopHost({ onlyWithoutLiveSessions: false });
  await link.gone();
}

function takeHostLock(stateDirectory: string): ExclusiveLock {
  const lock = ExclusiveLock.take(hostLockPath(stateDirectory));
  if (lock !== undefined) return lock;
  throw new AppError("HOST_RUNNING", `A host is running that uses ${stateDirectory}.`, {
    help: "End it: restore with --shutdown, or claudecluster shutdown. Its live sessions go on in their containers meanwhile.",
    metadata: { directory: stateDirectory },
  });
}

function requireHere(env: NodeJS.ProcessEnv): void {
  if (!env["CLAUDECLUSTER_HOST"]) return;
  throw new AppError("HOST_ELSEWHERE", "Backups are made and restored where the host is.", {
    help: "Run the command there, or without CLAUDECLUSTER_HOST for this machine.",
  });
}
