import { existsSync } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { AppError } from "../../proto/index.ts";
import { parseJson } from "../broker/json.ts";
import { ExclusiveLock } from "../exclusive-lock.ts";
import { readHostId } from "../host-id.ts";
import { bareFiles, makeServedDirectory } from "../snapshots/served-directory.ts";
import { StoreFile } from "../store/store-file.ts";
import {
  actsByItself,
  countSessions,
  findStrangeId,
  listCopied,
  makeOneFile,
  releaseContainers,
} from "../store/store-copy.ts";
import { ArtifactFiles, nameOf } from "../store/artifact-files.ts";
import { type ArchiveEntry, type Checked, invalid, readArchive } from "./archive.ts";
import { FORMAT, TITLE, type Title } from "./back-up.ts";
import { DATABASE, DIRECTORIES, isBackedUp } from "./places.ts";

const MAX_TITLE_BYTES = 4096;
/** Directory of a backup that is being read. It does not count, and may be left by somebody who was killed. */
const PART = "restoring";
/** Directory of a backup that was read whole: whoever finds it puts it in the place of what is there. */
const WHOLE = "restored";

/** Sessions that were restored. */
export interface Restored {
  sessionCount: number;
  /** Those of them that were live in a container, where the backup is another host's, which has that container. */
  releasedCount: number;
}

/** Backup that was read and checked, and lies beside what is there. Disposing of it removes it, unless it has taken its place. */
export interface CheckedBackup extends AsyncDisposable {
  /**
   * Puts its sessions in the place of what is there. The caller holds the host's lock. Throws RESTORE_REPLACES where there are
   * sessions that are not to be replaced.
   */
  takePlace(options: { replace: boolean }): Promise<Restored>;
}

/**
 * Reads all of a backup into a state directory, which a host may use meanwhile, and checks it. Throws BACKUP_INVALID,
 * BACKUP_TOO_NEW, RESTORE_RUNNING (retryable).
 */
export async function readBackup(
  stateDirectory: string,
  { input, signal }: { input: AsyncIterable<Buffer>; signal: AbortSignal },
): Promise<CheckedBackup> {
  const lock = takeLock(stateDirectory);
  if (lock === undefined)
    throw new AppError("RESTORE_RUNNING", "Another backup is being restored.", { retryable: true });
  const part = join(stateDirectory, PART);
  const remove = async () => {
    using _lock = lock;
    await rm(part, { recursive: true, force: true });
  };
  try {
    const releasedCount = await readInto(part, stateDirectory, { input, signal });
    const sessionCount = countSessions(join(part, DATABASE));
    return {
      async takePlace({ replace }) {
        await placeWhole(stateDirectory);
        if (!replace) requireEmpty(stateDirectory);
        await rename(part, join(stateDirectory, WHOLE));
        await sync(stateDirectory);
        await placeWhole(stateDirectory);
        return { sessionCount, releasedCount };
      },
      [Symbol.asyncDispose]: remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Reads and checks all of a backup. Returns how many sessions have lost their containers. */
async function readInto(
  part: string,
  stateDirectory: string,
  { input, signal }: { input: AsyncIterable<Buffer>; signal: AbortSignal },
): Promise<number> {
  await rm(part, { recursive: true, force: true });
  await mkdir(part, { mode: 0o700 });
  for (const name of DIRECTORIES) await mkdir(join(part, name), { mode: 0o700 });
  const entries = readArchive(input);
  const { host } = await readTitle(await entries.next());
  for (;;) {
    signal.throwIfAborted();
    const next = await entries.next();
    if (next.done === true) {
      checkDatabase(part, next.value);
      break;
    }
    await extract(part, next.value);
  }
  await makeRepositories(join(part, "repositories"), join(stateDirectory, "repositories"));
  const releasedCount = host === readHostId(stateDirectory) ? 0 : releaseContainers(join(part, DATABASE));
  makeOneFile(join(part, DATABASE));
  await syncAll(part);
  return releasedCount;
}

/** Throws RESTORE_REPLACES where a state directory has sessions. */
export function requireEmpty(stateDirectory: string): void {
  const count = countSessions(join(stateDirectory, DATABASE));
  if (count === 0) return;
  throw new AppError("RESTORE_REPLACES", `There are sessions in ${stateDirectory} (${count}), which would go.`, {
    help: "Make a backup of them, then restore with --replace; or set CLAUDECLUSTER_STATE_DIR to another directory.",
    metadata: { count: String(count) },
  });
}

/**
 * Ends what a restore that was killed has begun: what was read whole takes its place, the rest goes. Whoever calls it holds the
 * host's lock. Nothing to end is fine, and what somebody is reading stays.
 */
export async function finishRestore(stateDirectory: string): Promise<void> {
  await placeWhole(stateDirectory);
  const part = join(stateDirectory, PART);
  if (!existsSync(part)) return;
  using lock = takeLock(stateDirectory);
  if (lock !== undefined) await rm(part, { recursive: true, force: true });
}

/** Puts what was read whole, if there is something, in its place. */
async function placeWhole(stateDirectory: string): Promise<void> {
  const whole = join(stateDirectory, WHOLE);
  if (!existsSync(whole)) return;
  // A write-ahead log beside another database would be taken for its own.
  const beside = existsSync(join(whole, DATABASE)) ? [`${DATABASE}-wal`, `${DATABASE}-shm`] : [];
  for (const name of beside) await rm(join(stateDirectory, name), { force: true });
  for (const name of [...DIRECTORIES, DATABASE]) {
    if (!existsSync(join(whole, name))) continue;
    await rm(join(stateDirectory, name), { recursive: true, force: true });
    await rename(join(whole, name), join(stateDirectory, name));
  }
  await sync(stateDirectory);
  await rm(whole, { recursive: true, force: true });
}

/** Lock of whoever reads a backup. Undefined: somebody has it. */
function takeLock(stateDirectory: string): ExclusiveLock | undefined {
  return ExclusiveLock.take(join(stateDirectory, "restore.lock"));
}

async function readTitle(first: IteratorResult<ArchiveEntry, unknown>): Promise<Title> {
  if (first.done === true || first.value.name !== TITLE || first.value.size > MAX_TITLE_BYTES) {
    throw invalid("it is of another kind");
  }
  const title = parseJson(await text(first.value.bytes)) as Partial<Title> | undefined;
  if (typeof title?.format !== "number" || typeof title.host !== "string") throw invalid("it is of another kind");
  if (title.format <= FORMAT) return title as Title;
  throw new AppError("BACKUP_TOO_NEW", "This backup was made by a newer ClaudeCluster.", { help: "Update this one." });
}

async function extract(part: string, { name, bytes }: ArchiveEntry): Promise<void> {
  if (!isBackedUp(name)) throw invalid("it holds what does not belong into one");
  const path = join(part, name);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await using file = await open(path, "wx", 0o600);
  for await (const piece of bytes) await file.writeFile(piece);
}

/** Opens the store, which brings it to this version, and holds its artifacts against the files. */
function checkDatabase(part: string, checked: ReadonlyMap<string, Checked>): void {
  const path = join(part, DATABASE);
  if (!checked.has(DATABASE)) throw invalid("it has no sessions");
  if (actsByItself(path)) throw invalid("its database is not one of a host's");
  for (const artifact of listCopied(path).artifacts) {
    if (checked.get(`artifacts/${nameOf(artifact)}`)?.sha256 !== artifact.sha256) {
      throw invalid(`what ${artifact.sessionId} left is not in it`);
    }
  }
  StoreFile.open(path, ArtifactFiles.open(path))[Symbol.dispose]();
  // Files are removed by them.
  if (findStrangeId(path) !== undefined) throw invalid("what it calls a session is none");
}

/** Makes the git directories around the objects: nothing that could name a program comes out of a backup. */
async function makeRepositories(directory: string, finalDirectory: string): Promise<void> {
  for (const store of await readdir(directory)) {
    let format = "";
    for (const id of await readdir(join(directory, store, "sessions")).catch(() => [])) {
      const served = join(directory, store, "sessions", id);
      const read = (name: string) => readFile(join(served, name), "utf8").catch(() => "");
      const startCommitId = /^[0-9a-f]{40}(?:[0-9a-f]{24})?(?= )/.exec(await read("packed-refs"))?.[0];
      if (startCommitId === undefined) throw invalid(`what ${id} started from is not in it`);
      const shallow = (await read("shallow")).split("\n").filter((line) => /^[0-9a-f]+$/.test(line));
      const kept = existsSync(join(served, "kept"));
      const objectDirectory = join(finalDirectory, store, "objects");
      await makeServedDirectory(served, { startCommitId, shallow, objectDirectory });
      if (kept) await writeFile(join(served, "kept"), "", { mode: 0o600 });
      format = startCommitId;
    }
    for (const name of ["refs", "objects/info", "objects/pack"]) {
      await mkdir(join(directory, store, name), { recursive: true, mode: 0o700 });
    }
    for (const [name, content] of Object.entries(bareFiles(format))) {
      await writeFile(join(directory, store, name), content, { mode: 0o600 });
    }
  }
}

/** Syncs what is in a directory to the disk. */
async function syncAll(directory: string): Promise<void> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  for (const entry of entries) await sync(join(entry.parentPath, entry.name));
  await sync(directory);
}

async function sync(path: string): Promise<void> {
  await using file = await open(path, "r");
  await file.sync();
}
