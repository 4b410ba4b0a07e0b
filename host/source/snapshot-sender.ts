import { createHmac, randomBytes } from "node:crypto";
import { link, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { clone } from "@bufbuild/protobuf";
import { type RepositorySnapshot, RepositorySnapshotSchema } from "../../proto/index.ts";
import type { Upload } from "../control/upload-snapshot.ts";
import { makeDirectory } from "../make-directory.ts";
import { findBoundary } from "../repository/commits.ts";
import { packMissing } from "../repository/pack-missing.ts";
import { headsOf } from "../snapshots/snapshot-commits.ts";

/** Host elsewhere that snapshots are sent to, since it does not share this machine's directories. */
export interface SnapshotReceiver {
  /** Address of the host: what is sent to one is nothing that another one is told of. */
  readonly url: string;
  /** Uploads a snapshot and returns the upload's id. */
  upload(upload: Upload): Promise<string>;
}

/** Snapshot to send, with the git directory that has its objects. */
export interface SentSnapshot {
  snapshot: RepositorySnapshot;
  gitDirectory: string;
  /** Commits of history that go along. Negative: all. */
  depth: number;
  /** State directory of this program, where the secret is that makes the host's store ours alone. */
  stateDirectory: string;
  onProgress?: ((sentBytes: number) => void) | undefined;
  signal: AbortSignal;
}

/**
 * Sends a snapshot to a host elsewhere: of its objects what the host has not yet. Returns the snapshot for CreateSession.
 * Throws GIT_FAILED, and what the host answers: SNAPSHOT_INVALID, UPLOAD_TOO_LARGE, NO_ROOM, UPLOAD_STALLED.
 */
export async function sendSnapshot(receiver: SnapshotReceiver, sent: SentSnapshot): Promise<RepositorySnapshot> {
  const { gitDirectory, depth, stateDirectory, onProgress, signal } = sent;
  const snapshot = clone(RepositorySnapshotSchema, sent.snapshot);
  const { untrackedCommitId: startCommitId } = snapshot;
  const boundary = await findBoundary(gitDirectory, headsOf(snapshot), { depth, signal });
  snapshot.senderStore = snapshot.store;
  snapshot.store = "";
  // One store for each depth: where the history ends elsewhere, little of what the host has can be built upon.
  const name = `${receiver.url}\0${snapshot.senderStore}\0${depth}`;
  const key = createHmac("sha256", await readSecret(stateDirectory))
    .update(name)
    .digest("hex");
  snapshot.uploadId = await receiver.upload({
    start: { key, snapshot, boundaryCommitIds: boundary.commitIds },
    pack: (known) => packMissing(gitDirectory, { startCommitId, boundary }, { known, signal }),
    onProgress,
    signal,
  });
  return snapshot;
}

/** Returns this program's secret, which is made at first. It stays on this machine. */
async function readSecret(stateDirectory: string): Promise<string> {
  const path = join(stateDirectory, "upload.key");
  const read = () => readFile(path, "utf8").catch(() => undefined);
  const known = await read();
  if (known !== undefined) return known;
  makeDirectory(stateDirectory);
  const fresh = `${path}.${randomBytes(6).toString("hex")}`;
  try {
    await writeFile(fresh, randomBytes(32).toString("hex"), { mode: 0o600, flag: "wx" });
    // Whoever else makes one meanwhile: the first one counts.
    await link(fresh, path).catch(() => undefined);
    return (await read()) ?? (await readFile(fresh, "utf8"));
  } finally {
    await rm(fresh, { force: true });
  }
}
