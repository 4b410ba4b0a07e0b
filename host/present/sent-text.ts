import type {
  RepositorySnapshot,
  RepositorySpec,
  SessionSpec,
  SnapshotLeftOut,
  SnapshotReceipt,
  UserFiles,
} from "../../proto/index.ts";
import { givenPathText, pathText } from "./path-text.ts";
import { oneLine } from "./plain-text.ts";
import { plural } from "./plural.ts";

const ID_LENGTH = 12;
const MAX_PATHS = 3;
const MAX_USER_PATHS = 20;
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
  link: "that are links out of it",
  name: "with such names",
};
const UNITS = ["bytes", "KiB", "MiB", "GiB"];

/** What a session's repository is called. Empty: it has none. */
export function repositoryName(repository: RepositorySpec | undefined): string {
  const { snapshot, uri = "" } = repository ?? {};
  if (snapshot === undefined) return oneLine(uri, 200);
  const parts = [snapshot.receipt?.directory ?? "", snapshot.subdirectory].filter((part) => part !== "");
  return oneLine(givenPathText(parts.join("/")), 200);
}

/** Says in a line what a session was given to work on, and what of it was left out. */
export function sentText(spec: Pick<SessionSpec, "repository" | "previousSessionId" | "userFiles">): string {
  return [workText(spec), ...userFilesText(spec.userFiles)].join("; ");
}

function workText({ repository, previousSessionId }: Pick<SessionSpec, "repository" | "previousSessionId">): string {
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
  if (leftOut.length > 0) texts.push(`left out: ${leftOutText(leftOut)}`);
  if (changedPaths.length > 0)
    texts.push(`${plural(changedPaths.length, "file")} changed while read: ${paths(changedPaths)}`);
  return texts;
}

/** Each file, or each skill, with its size. */
function userFilesText(userFiles: UserFiles | undefined): string[] {
  if (userFiles === undefined || userFiles.fileCount + userFiles.leftOut.length === 0) return [];
  const { files, fileCount, sizeBytes, leftOut } = userFiles;
  const named = [...new Set(files.map(({ path }) => path.replace(/^(skills\/[^/]+)\/.*/, "$1")))];
  const size = `${plural(fileCount, "file")}, ${sizeText(Number(sizeBytes))}`;
  const not = leftOut.length === 0 ? "" : `, left out: ${leftOutText(leftOut)}`;
  return [`the user's own set-up for Claude Code (${size}): ${paths(named, named.length, MAX_USER_PATHS)}${not}`];
}

function leftOutText(leftOut: readonly SnapshotLeftOut[]): string {
  const each = leftOut.map(
    ({ reason, count, paths: some }) => `${count} ${LEFT_OUT[reason] ?? oneLine(reason)} (${paths(some, count)})`,
  );
  return each.join(", ");
}

function paths(given: readonly string[], count = given.length, most = MAX_PATHS): string {
  const shown = given.slice(0, most).map((path) => pathText(path, MAX_PATH_LENGTH));
  return [...shown, ...(count > shown.length ? ["…"] : [])].join(", ");
}

/** Returns a number of bytes in the unit that fits: "12.5 MiB". */
export function sizeText(bytes: number): string {
  const unit = Math.min(UNITS.length - 1, bytes === 0 ? 0 : Math.floor(Math.log2(bytes) / 10));
  return `${unit === 0 ? bytes : (bytes / 1024 ** unit).toFixed(1)} ${UNITS[unit]}`;
}
