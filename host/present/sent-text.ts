import type { RepositorySnapshot, RepositorySpec, SessionSpec, SnapshotReceipt } from "../../proto/index.ts";
import { pathText } from "./path-text.ts";
import { oneLine } from "./plain-text.ts";
import { plural } from "./plural.ts";

const ID_LENGTH = 12;
const MAX_PATHS = 3;
const MAX_PATH_LENGTH = 80;
/** What is left out, by its reason; a reason that is not here is told as it is. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  ignored: "ignored by git",
  tooLarge: "too large",
  unreadable: "unreadable",
  lfs: "of LFS, as pointers",
  submodule: "submodules that stay empty",
  secret: "that may hold secrets",
  nestedRepository: "repositories of their own",
  special: "that are no files",
};
const UNITS = ["bytes", "KiB", "MiB", "GiB"];

/** What a session's repository is called. Empty: it has none. */
export function repositoryName(repository: RepositorySpec | undefined): string {
  const { snapshot, uri = "" } = repository ?? {};
  if (snapshot === undefined) return oneLine(uri, 200);
  return oneLine(
    [snapshot.receipt?.directory ?? "", snapshot.subdirectory].filter((part) => part !== "").join("/"),
    200,
  );
}

/** Says in a line what a session was given to work on, and what of it was left out. */
export function sentText({
  repository,
  previousSessionId,
}: Pick<SessionSpec, "repository" | "previousSessionId">): string {
  const before = previousSessionId === "" ? "" : `with the changes of ${oneLine(previousSessionId)}`;
  if (repository === undefined) return before === "" ? "no repository: the workspace started empty" : before;
  const { snapshot, ref } = repository;
  const what =
    snapshot === undefined
      ? `${repositoryName(repository)} ${oneLine(ref)}`.trim()
      : snapshotText(repository, snapshot);
  return before === "" ? what : `${what}; ${before}`;
}

function snapshotText(repository: RepositorySpec, { branch, headCommitId, receipt }: RepositorySnapshot): string {
  const name = branch === "" ? "no branch" : oneLine(branch.replace(/^refs\/heads\//, ""), 100);
  const at = headCommitId === "" ? "without a commit" : `at ${headCommitId.slice(0, ID_LENGTH)}`;
  return [`${repositoryName(repository)}: ${name} ${at}`, ...(receipt === undefined ? [] : receiptTexts(receipt))].join(
    "; ",
  );
}

function receiptTexts(receipt: SnapshotReceipt): string[] {
  const {
    stagedCount,
    changedCount,
    untrackedCount,
    sizeBytes,
    leftOut,
    includedPaths,
    changedPaths,
    submodulePaths,
    largeCount,
  } = receipt;
  const counts = Object.entries({ staged: stagedCount, changed: changedCount, untracked: untrackedCount });
  const differing = counts.filter(([, count]) => count > 0).map(([name, count]) => `${count} ${name}`);
  const texts = [
    differing.length === 0 ? "nothing uncommitted" : `${differing.join(", ")} (${sizeText(Number(sizeBytes))})`,
  ];
  if (includedPaths.length > 0) texts.push(`included: ${paths(includedPaths)}`);
  if (largeCount > 0) texts.push(`with the content of ${plural(largeCount, "file")} of LFS`);
  if (submodulePaths.length > 0)
    texts.push(`with ${plural(submodulePaths.length, "submodule")}: ${paths(submodulePaths)}`);
  if (leftOut.length > 0) {
    const each = leftOut.map(
      (entry) =>
        `${entry.count} ${LEFT_OUT[entry.reason] ?? oneLine(entry.reason)} (${paths(entry.paths, entry.count)})`,
    );
    texts.push(`left out: ${each.join(", ")}`);
  }
  if (changedPaths.length > 0)
    texts.push(`${plural(changedPaths.length, "file")} changed while read: ${paths(changedPaths)}`);
  return texts;
}

function paths(given: readonly string[], count = given.length): string {
  const shown = given.slice(0, MAX_PATHS).map((path) => pathText(path, MAX_PATH_LENGTH));
  return [...shown, ...(count > shown.length ? ["…"] : [])].join(", ");
}

/** Returns a number of bytes in the unit that fits: "12.5 MiB". */
export function sizeText(bytes: number): string {
  const unit = Math.min(UNITS.length - 1, bytes === 0 ? 0 : Math.floor(Math.log2(bytes) / 10));
  return `${unit === 0 ? bytes : (bytes / 1024 ** unit).toFixed(1)} ${UNITS[unit]}`;
}
