import { LeftOut, type LeftWork_Item, LeftWork_Item_Kind as Kind, type SessionResult } from "../../proto/index.ts";
import { pathText } from "./path-text.ts";
import { oneLine } from "./plain-text.ts";
import { plural } from "./plural.ts";

/** So many names in a line, and so many places: who wants more has the result itself. */
const MAX_NAMES = 5;
const MAX_ITEMS = 20;
const NAME_LENGTH = 100;
const MESSAGE_LENGTH = 500;

const REASONS: Record<LeftOut, string> = {
  [LeftOut.UNSPECIFIED]: "could not be taken",
  [LeftOut.UNREADABLE]: "could not be read, for want of permission",
  [LeftOut.TOO_LARGE]: "too large for a patch",
  [LeftOut.REFUSED]: "with names that git refuses",
  [LeftOut.SUBMODULE]: "submodules with something that is in them alone",
  [LeftOut.NO_ROOM]: "for which the container had no room",
};

/**
 * Returns sentences on what a finished session's patch does not hold, and why. What no ref brings along goes with the container.
 * Empty: nothing is missing, as far as known.
 */
export function notInPatch(result: SessionResult): string[] {
  const { patchFailure, patchTruncated, unreadablePaths, leftWork, ignoredFiles } = result;
  const lines: string[] = [];
  if (patchFailure !== undefined) {
    lines.push(`The patch may lack changes: ${oneLine(patchFailure.message, MESSAGE_LENGTH)}`);
  } else if (patchTruncated && unreadablePaths.length === 0) lines.push("The patch may lack changes.");
  lines.push(...leftOutLines(result));
  const items = leftWork?.items ?? [];
  for (const item of items.slice(0, MAX_ITEMS)) lines.push(itemLine(item));
  const more = (leftWork?.itemCount ?? 0) - Math.min(items.length, MAX_ITEMS);
  if (more > 0) lines.push(`${plural(more, "more place")} with work that is not in the patch.`);
  if (leftWork?.incomplete === true) lines.push("There may be more in the repository: not all of it could be read.");
  if (leftWork === undefined && patchFailure !== undefined) {
    lines.push("Whether there was more in stashes, other branches or worktrees is not known.");
  }
  if (ignoredFiles !== undefined && ignoredFiles.fileCount > 0) {
    const { fileCount, paths, incomplete } = ignoredFiles;
    const are = `new ${fileCount === 1 ? "file that git ignores is" : "files that git ignores are"} not in the patch`;
    const made = result.setup === undefined ? "" : ", with those that the setup made";
    lines.push(`${incomplete ? "At least " : ""}${fileCount} ${are}${made}: ${names(paths, false)}`);
  }
  return lines;
}

function leftOutLines({ unreadablePaths, unreadableReasons }: SessionResult): string[] {
  const byReason = new Map<LeftOut, string[]>();
  for (const [at, path] of unreadablePaths.entries()) {
    const given = unreadableReasons[at] ?? LeftOut.UNSPECIFIED;
    const reason = given in REASONS ? given : LeftOut.UNSPECIFIED;
    byReason.set(reason, [...(byReason.get(reason) ?? []), path]);
  }
  return [...byReason].map(
    ([reason, paths]) => `Not in the patch, ${plural(paths.length, "path")} ${REASONS[reason]}: ${names(paths, true)}`,
  );
}

function itemLine({
  kind,
  name,
  branch,
  commitId,
  subject,
  commitCount,
  fileCount,
  paths,
  refName,
}: LeftWork_Item): string {
  const what = [commitCount === 0 ? "" : plural(commitCount, "commit"), plural(fileCount, "file")];
  const about = subject === "" ? "" : ` ("${oneLine(subject, NAME_LENGTH)}")`;
  const holds = `${what.filter((part) => part !== "").join(", ")}${about}`;
  const files = paths.length === 0 ? "" : `: ${names(paths, false)}`;
  const taken = refName === "" ? "" : `; to take it: apply --ref ${pathText(refName, NAME_LENGTH)}`;
  return `Not in the patch, ${placeText()}: ${holds}${files}${taken}`;

  function placeText(): string {
    const shown = oneLine(name, NAME_LENGTH);
    const on = branch === "" ? "" : ` (branch ${oneLine(branch, NAME_LENGTH)})`;
    switch (kind) {
      case Kind.STASH:
        return `in ${shown}`;
      case Kind.BRANCH:
        return `on branch ${shown}`;
      case Kind.COMMIT:
        return `in commit ${oneLine(commitId, 12)}, which no branch holds`;
      case Kind.WORKTREE:
        return `in worktree ${pathText(name, NAME_LENGTH)}${on}`;
      case Kind.CLONE:
        return `in clone ${pathText(name, NAME_LENGTH)}${on}`;
      case Kind.INDEX:
        return "in the index";
      case Kind.REF:
      default:
        return `in ${shown}`;
    }
  }
}

function names(paths: readonly string[], complete: boolean): string {
  const shown = paths.slice(0, MAX_NAMES).map((path) => pathText(path, NAME_LENGTH));
  const rest = paths.length - shown.length;
  return `${shown.join(", ")}${rest > 0 ? `, and ${complete ? `${rest} more` : "more"}` : ""}`;
}
