import { type RawPath, utf8Of } from "../../proto/index.ts";
import { rawPathText } from "../present/path-text.ts";
import { ABSENT, EXECUTABLE, GITLINK, SYMLINK } from "./tree-diff.ts";

/** Modes that a file of a tree may have: git writes no others. */
const MODES = new Set(["100644", EXECUTABLE, SYMLINK, GITLINK]);
/** Characters that HFS+ does not see in a name. */
const INVISIBLE = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g;
/** Longer ones are taken by no file system. */
const MAX_PATH_BYTES = 4095;
const MAX_NAME_BYTES = 255;

/**
 * Returns the problem with a path or mode of a tree that came from elsewhere, in words that name the path. Undefined: the
 * file may be written.
 */
export function findPathProblem({ path, newMode }: { path: RawPath; newMode: string }): string | undefined {
  if (path.length > MAX_PATH_BYTES) return "a path is too long";
  const shown = rawPathText(path);
  if (path.includes("\0")) return `${shown} has a zero byte`;
  for (const name of path.split("/")) {
    if (name === "") return `${shown} begins or ends with a slash, or has two of them`;
    if (name === "." || name === "..") return `${shown} leads elsewhere`;
    if (name.length > MAX_NAME_BYTES) return `${shown} has a name that is too long`;
    if (isGitDirectory(name)) return `${shown} is inside of a git directory`;
  }
  if (newMode !== ABSENT && !MODES.has(newMode)) return `${shown} has the mode ${newMode}`;
  // git itself reads what this one leads to.
  if (newMode === SYMLINK && /(^|\/)\.gitmodules$/i.test(path)) return `${shown} is a symbolic link`;
  return undefined;
}

/** Whether some file system takes this name for .git: in capitals, with what it does not see, by its short name. */
function isGitDirectory(name: string): boolean {
  const seen = utf8Of(name).normalize("NFKC").replace(INVISIBLE, "").toLowerCase();
  // NTFS drops what ends a name, reads a colon as the beginning of a stream's name, and knows the backslash.
  return seen.split("\\").some((part) => /^(?:\.git|git~\d+)$/.test(part.replace(/:.*$/s, "").replace(/[. ]+$/, "")));
}
