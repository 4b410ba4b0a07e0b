import { AppError } from "./app-error.ts";
import { cutChars } from "./cut.ts";
import type { Session } from "./gen/claudecluster/session/v1alpha1/session_pb.ts";
import type {
  RepositorySnapshot,
  RepositorySpec,
  SnapshotLeftOut,
} from "./gen/claudecluster/session/v1alpha1/session_spec_pb.ts";

/** Where git in the container finds the session's snapshot: a name that nobody can have, which leads to the host itself. */
export const SNAPSHOT_URI = "http://snapshot.claudecluster.invalid/repository";
/** What is fetched from there: the snapshot's last commit, with as much of what is before it as the session was given. */
export const SNAPSHOT_REF = "refs/claudecluster/start";

/** More of a list is not shown to anybody. */
const MAX_LISTED = 100;
/** Paths as git quotes them may be four times as long as a file system allows. */
const MAX_TEXT_CHARS = 16_384;
/** The receipt is part of an event: at most 64 KiB. */
const MAX_RECEIPT_CHARS = 32_768;

/** Completes a repository that is a snapshot: where and what it is, is the host's to say. Throws SNAPSHOT_INVALID. */
export function completeSnapshot(repository: RepositorySpec, snapshot: RepositorySnapshot): void {
  repository.uri = SNAPSHOT_URI;
  repository.ref = "";
  const { headCommitId, indexCommitId, trackedCommitId, untrackedCommitId } = snapshot;
  const ids = [indexCommitId, trackedCommitId, untrackedCommitId, ...(headCommitId === "" ? [] : [headCommitId])];
  const isId = untrackedCommitId.length === 64 ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/;
  if (!ids.every((id) => isId.test(id))) throw invalid("has ids of commits that are none, or of two kinds");
  if (snapshot.branch === "" && headCommitId === "") throw invalid("has neither a branch nor a commit");
  if (snapshot.branch !== "" && !isBranch(snapshot.branch)) {
    throw invalid(`has "${cutChars(snapshot.branch, 64)}" for a branch`);
  }
  if (!isDirectory(snapshot.subdirectory)) {
    throw invalid(`has "${cutChars(snapshot.subdirectory, 64)}" for a directory of it`);
  }
  if (!/^[0-9a-z-]{0,100}$/.test(snapshot.store)) throw invalid("names no store of the host's");
  if (!/^[0-9a-f]{0,64}$/.test(snapshot.senderStore)) throw invalid("names no store of its sender's");
  cutReceipt(snapshot);
}

/** Returns the directory of the host's machine that a session works on. Empty: none, or it was sent from another machine. */
export function sessionDirectory({ spec }: Pick<Session, "spec">): string {
  const { senderStore = "", receipt } = spec?.repository?.snapshot ?? {};
  return senderStore === "" ? (receipt?.directory ?? "") : "";
}

/** The rules of git check-ref-format. */
function isBranch(name: string): boolean {
  return (
    /^refs\/heads\/[^/]/.test(name) &&
    name.length <= 500 &&
    !/[\x00-\x20\x7f~^:?*[\\]|\.\.|@\{|\/\/|\/\.|\.lock(?:\/|$)|[./]$/.test(name)
  );
}

function isDirectory(path: string): boolean {
  if (path === "") return true;
  const names = path.split("/");
  return path.length <= 4096 && names.every((name) => !["", ".", ".."].includes(name) && !/\0|^\.git$/i.test(name));
}

function cutReceipt({ receipt }: RepositorySnapshot): void {
  if (receipt === undefined) return;
  const cut = pathCutter();
  receipt.directory = cutChars(receipt.directory, MAX_TEXT_CHARS);
  receipt.includedPaths = cut(receipt.includedPaths);
  receipt.changedPaths = cut(receipt.changedPaths);
  receipt.leftOut = cutLeftOut(receipt.leftOut, cut);
}

/** Returns what did not go in as far as it is told of. */
export function cutLeftOut(leftOut: readonly SnapshotLeftOut[], cut = pathCutter()): SnapshotLeftOut[] {
  return leftOut
    .slice(0, MAX_LISTED)
    .map((entry) => ({ ...entry, reason: cutChars(entry.reason, 100), paths: cut(entry.paths) }));
}

/** Cuts lists of paths that are told of together. */
function pathCutter(): (paths: readonly string[]) => string[] {
  let room = MAX_RECEIPT_CHARS;
  return (paths) => {
    const kept = paths.slice(0, MAX_LISTED).map((path) => cutChars(path, MAX_TEXT_CHARS));
    return kept.filter((path) => (room -= path.length) > 0);
  };
}

function invalid(what: string): AppError {
  return new AppError("SNAPSHOT_INVALID", `The snapshot of the repository ${what}.`, {
    help: "Use a front of the host's own version.",
  });
}
