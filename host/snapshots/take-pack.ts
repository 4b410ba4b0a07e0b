import { statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AppError, HARMLESS_GIT_FAULTS } from "../../proto/index.ts";
import { gibibytes } from "../gibibytes.ts";
import { findMissing } from "../repository/commits.ts";
import { type GitPlace, tryGit } from "../repository/git.ts";

/** Limits of a pack that is taken in. */
export interface PackLimits {
  /** Most bytes of the pack. */
  maxBytes: number;
  /** Most bytes that git allocates at once: a delta of a few bytes may say that it makes any number of them. */
  maxAllocationBytes: number;
  /** Bytes of the disk that are left free. */
  minFreeBytes: number;
  /** Longest time without a byte (ms). */
  stallMs: number;
}

/** Default limits of a pack. */
export const PACK_LIMITS: PackLimits = {
  maxBytes: 4 * 1024 ** 3,
  maxAllocationBytes: 1024 ** 3,
  minFreeBytes: 1024 ** 3,
  stallMs: 5 * 60_000,
};

/** The disk is looked at again after so many bytes. */
const LOOK_AGAIN_BYTES = 64 * 1024 ** 2;

const STRICT = `--strict=${HARMLESS_GIT_FAULTS.map((fault) => `${fault}=ignore`).join(",")}`;

/** Pack that is taken in, and what it must bring. */
export interface IncomingPack {
  /** Repository that it builds upon. */
  gitDirectory: string;
  /** Empty directory for what comes. */
  directory: string;
  /** Commits that must be there then: the last one first, from which the others must be reached. */
  commitIds: readonly [string, ...string[]];
  /** Commits whose parents need not be there. */
  boundaryCommitIds: readonly string[];
}

/**
 * Takes a thin pack into a directory of its own, from where the caller may move its objects. git checks each object, that
 * everything that an object names is there, and then that the history is whole. `onReceived` is told of the bytes so far.
 * Throws UPLOAD_TOO_LARGE, NO_ROOM, UPLOAD_STALLED, SNAPSHOT_INVALID and the signal's reason.
 */
export async function takePack(
  incoming: IncomingPack,
  data: AsyncIterable<Uint8Array>,
  { limits, onReceived, signal }: { limits: PackLimits; onReceived: (bytes: number) => void; signal: AbortSignal },
): Promise<void> {
  const { gitDirectory, directory, commitIds, boundaryCommitIds } = incoming;
  const shallowFile = join(directory, "shallow");
  await writeFile(shallowFile, boundaryCommitIds.map((id) => `${id}\n`).join(""), { mode: 0o600 });
  const place: GitPlace = {
    settings: "none",
    gitDirectory,
    objectDirectory: join(directory, "objects"),
    alternates: [join(gitDirectory, "objects")],
    shallowFile,
    maxAllocationBytes: limits.maxAllocationBytes,
    config: { "core.bigFileThreshold": "32m", "core.protectHFS": "true", "core.protectNTFS": "true" },
  };
  const over = new AbortController();
  const options = { signal: AbortSignal.any([signal, over.signal]) };
  const input = watched(data, { directory, limits, onReceived, stalled: () => over.abort(stalled(limits)) });
  const first = await input.next();
  if (first.done !== true) {
    const args = ["index-pack", "--stdin", "--fix-thin", "--threads=1", STRICT];
    const { code, stderr } = await tryGit(place, args, { ...options, input: after(first.value, input) });
    if (code !== 0) throw refused(stderr, { directory, limits });
  }
  const [lost] = await findMissing(place, commitIds, options);
  if (lost !== undefined) throw incomplete(`${lost} is not in it`);
  // Each object's own check has seen that what it names is there, but for the parents of the boundary.
  const [start, ...others] = commitIds;
  const whole = await tryGit(place, ["rev-list", "--count", start], options);
  if (whole.code !== 0) throw incomplete("its history has gaps");
  const apart = await tryGit(place, ["rev-list", "--max-count=1", ...others, `^${start}`], options);
  if (apart.code !== 0 || apart.stdout.length > 0) throw incomplete("its commits do not belong together");
}

/** Yields what comes in, within the limits. */
async function* watched(
  data: AsyncIterable<Uint8Array>,
  {
    directory,
    limits,
    onReceived,
    stalled,
  }: { directory: string; limits: PackLimits; onReceived: (bytes: number) => void; stalled: () => void },
): AsyncGenerator<Uint8Array, undefined> {
  let bytes = 0;
  let lookAt = 0;
  const iterator = data[Symbol.asyncIterator]();
  for (;;) {
    const timer = setTimeout(stalled, limits.stallMs);
    const next = await iterator.next().finally(() => clearTimeout(timer));
    if (next.done === true) return;
    bytes += next.value.length;
    if (bytes > limits.maxBytes) throw tooLarge(limits);
    if (bytes >= lookAt) {
      const { bavail, bsize } = await statfs(directory);
      if (bavail * bsize < limits.minFreeBytes + LOOK_AGAIN_BYTES) throw noRoom(directory);
      lookAt = bytes + LOOK_AGAIN_BYTES;
    }
    onReceived(bytes);
    yield next.value;
  }
}

async function* after<T>(first: T, rest: AsyncIterable<T>): AsyncGenerator<T, undefined> {
  yield first;
  yield* rest;
}

/** Says why git has not taken a pack. */
function refused(stderr: string, { directory, limits }: { directory: string; limits: PackLimits }): AppError {
  if (/attempting to allocate|out of memory/i.test(stderr)) return tooLarge(limits);
  if (/No space left|Disk quota exceeded/i.test(stderr)) return noRoom(directory);
  const said = /^(?:error|fatal): (.*)$/m.exec(stderr)?.[1] ?? "git has ended";
  return new AppError("SNAPSHOT_INVALID", `git on the host refuses what was uploaded: ${said.slice(0, 300)}.`, {
    help: "If the repository was to hold that, mend it there: git fsck names the object. A cut connection looks like this too; then try again.",
  });
}

function incomplete(why: string): AppError {
  return new AppError("SNAPSHOT_INVALID", `What was uploaded is not the snapshot that was announced: ${why}.`, {
    help: "Use a front of the host's own version.",
  });
}

function tooLarge({ maxBytes, maxAllocationBytes }: PackLimits): AppError {
  const largest = `${gibibytes(maxBytes)} in all, and ${gibibytes(maxAllocationBytes)} for one object`;
  return new AppError("UPLOAD_TOO_LARGE", `The host takes in at most ${largest}.`, {
    help: "Send less history (--history 1), or name the repository by its https URI.",
  });
}

function noRoom(directory: string): AppError {
  return new AppError("NO_ROOM", "The host's disk has no room for the repository.", {
    help: "Free some space where the host keeps its state, and try again.",
    metadata: { directory },
    retryable: true,
  });
}

function stalled({ stallMs }: PackLimits): AppError {
  return new AppError("UPLOAD_STALLED", `Nothing of the upload came for ${stallMs / 1000} s.`, { retryable: true });
}
