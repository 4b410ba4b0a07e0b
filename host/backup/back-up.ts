import { existsSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { AppError } from "../../proto/index.ts";
import { ExclusiveLock } from "../exclusive-lock.ts";
import { filesBelow } from "../files-below.ts";
import { readHostId } from "../host-id.ts";
import { nameOf } from "../store/artifact-files.ts";
import { type CopiedArtifact, copyStore, forgetCopied, listCopied } from "../store/store-copy.ts";
import { VERSION } from "../version.ts";
import { ArchiveWriter } from "./archive.ts";
import { DATABASE, isBackedUp } from "./places.ts";

/** First entry of a backup, which tells it from any other tar. */
export const TITLE = "claudecluster-backup";
/** Raised where an older version could not restore what is written. */
export const FORMAT = 1;

/** What a backup says of itself. */
export interface Title {
  format: number;
  version: string;
  time: string;
  /** Id of the host that its live sessions' containers are of. */
  host: string;
}

/** Backup that was made. */
export interface BackedUp {
  sessionCount: number;
  sizeBytes: number;
}

/**
 * Writes a backup of the sessions of a state directory: its database as it is at one moment, what sessions left, and what local
 * repositories they started from. A host may run meanwhile. Credentials, tokens and settings are not in it. Throws
 * NOTHING_TO_BACK_UP, BACKUP_RUNNING, STORE_FAILED (retryable), and what `write` throws.
 */
export async function backUp(
  stateDirectory: string,
  { write, signal }: { write: (bytes: Uint8Array) => Promise<void>; signal: AbortSignal },
): Promise<BackedUp> {
  const database = join(stateDirectory, DATABASE);
  if (!existsSync(database)) {
    throw new AppError("NOTHING_TO_BACK_UP", `There are no sessions in ${stateDirectory}.`, {
      help: "CLAUDECLUSTER_STATE_DIR says where they are looked for.",
    });
  }
  using lock = ExclusiveLock.take(join(stateDirectory, "backup.lock"));
  if (lock === undefined) throw new AppError("BACKUP_RUNNING", "Another backup is being made.", { retryable: true });
  const copy = join(stateDirectory, "backup.db");
  try {
    copyStore(database, copy);
    let sizeBytes = 0;
    const archive = new ArchiveWriter(async (bytes) => {
      sizeBytes += bytes.length;
      await write(bytes);
    });
    const title: Title = {
      format: FORMAT,
      version: VERSION,
      time: new Date().toISOString(),
      host: readHostId(stateDirectory),
    };
    await archive.addText(TITLE, `${JSON.stringify(title)}\n`);
    const { sessionIds, artifacts } = listCopied(copy);
    const gone = await addArtifacts(archive, artifacts, { stateDirectory, signal });
    for (const id of gone) sessionIds.delete(id);
    forgetCopied(copy, gone);
    await addRepositories(archive, sessionIds, { stateDirectory, signal });
    await archive.addFile(DATABASE, copy, { signal });
    await archive.end();
    return { sessionCount: sessionIds.size, sizeBytes };
  } finally {
    await rm(copy, { force: true });
  }
}

interface From {
  stateDirectory: string;
  signal: AbortSignal;
}

/** Returns the sessions that were removed while it was made: they are not in it. */
async function addArtifacts(
  archive: ArchiveWriter,
  artifacts: readonly CopiedArtifact[],
  { stateDirectory, signal }: From,
): Promise<string[]> {
  const gone = new Set<string>();
  for (const artifact of artifacts) {
    const name = `artifacts/${nameOf(artifact)}`;
    const path = join(stateDirectory, name);
    if (!existsSync(path)) {
      gone.add(artifact.sessionId);
      continue;
    }
    const { sha256 } = await archive.addFile(name, path, { signal });
    if (sha256 === artifact.sha256) continue;
    throw new AppError("STORE_FAILED", `${path} is not as its session left it.`, {
      help: "Try again. If it stays so, the disk is at fault, or somebody has changed it: remove that session.",
      retryable: true,
    });
  }
  return [...gone];
}

/** Adds what git needs of the stores that sessions started from. Packs come after their indexes are known to be whole. */
async function addRepositories(
  archive: ArchiveWriter,
  sessionIds: ReadonlySet<string>,
  { stateDirectory, signal }: From,
): Promise<void> {
  const stores = join(stateDirectory, "repositories");
  for (const store of await readdir(stores).catch(() => [])) {
    const served = await readdir(join(stores, store, "sessions")).catch(() => []);
    if (!served.some((id) => sessionIds.has(id))) continue;
    for (const path of await filesBelow(join(stores, store))) {
      const name = path.slice(stateDirectory.length + 1);
      const ofSession = /\/sessions\/([^/]+)\//.exec(name)?.[1];
      if (!isBackedUp(name)) continue;
      if (ofSession !== undefined && !sessionIds.has(ofSession)) continue;
      await archive.addFile(name, path, { signal });
    }
  }
}
