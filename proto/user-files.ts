import { AppError } from "./app-error.ts";
import { cutChars } from "./cut.ts";
import type { SessionSpec, UserFile } from "./gen/claudecluster/session/v1alpha1/session_spec_pb.ts";
import { cutLeftOut } from "./snapshot.ts";

/** Limits for what of a user's own set-up goes in: as much as instructions and a few skills with their material take. */
export const USER_FILES = { maxCount: 512, maxBytes: 4 * 1024 * 1024 };
/** As many are told of. */
const MAX_TOLD = 100;
/** As an archive takes them, in UTF-8. */
const MAX_PATH_BYTES = 150;
const MAX_NAME_BYTES = 100;

/** What may be named, for the help of an error. */
export const USER_FILES_HELP =
  'Name "CLAUDE.md", "skills/<name>", "agents/<name>.md", "commands/<name>.md", or a whole directory such as "skills".';

/** Directories of Claude Code's configuration whose files may go in. */
const DIRECTORIES = ["agents", "commands", "hooks", "output-styles", "rules", "skills"];
const encoder = new TextEncoder();
const bytesOf = (text: string) => encoder.encode(text).length;

/**
 * Returns whether a path, from Claude Code's configuration directory on, is of the user's set-up, and may be named: CLAUDE.md,
 * other files *.md beside it, settings.json, and what is in agents, commands, hooks, output-styles, rules and skills. Everything
 * else there is credentials, history and state.
 */
export function isUserFilePath(path: string): boolean {
  const [first = "", ...rest] = path.split("/");
  const names = [first, ...rest];
  if (names.some((name) => /^\.{0,2}$|[\p{Cc}\\]/v.test(name) || bytesOf(name) > MAX_NAME_BYTES)) return false;
  if (bytesOf(path) > MAX_PATH_BYTES) return false;
  return rest.length === 0 ? first === "settings.json" || /^[^.].*\.md$/.test(first) : DIRECTORIES.includes(first);
}

/** Returns whether the whole directory may be named. */
export function isUserFileDirectory(path: string): boolean {
  return DIRECTORIES.includes(path);
}

/** Throws USER_FILE_INVALID or USER_FILES_TOO_LARGE for files that cannot go in. */
export function checkUserFiles(files: readonly Pick<UserFile, "path" | "data" | "sizeBytes">[]): void {
  const paths = new Set<string>();
  let bytes = 0;
  for (const { path, data, sizeBytes } of files) {
    if (!isUserFilePath(path)) throw invalid(path, "is none of the user's set-up for Claude Code, or too long");
    if (paths.has(path)) throw invalid(path, "is there twice");
    if (sizeBytes !== 0n && sizeBytes !== BigInt(data.length)) throw invalid(path, "has not the size that is said");
    paths.add(path);
    bytes += data.length;
  }
  const { maxCount, maxBytes } = USER_FILES;
  if (files.length <= maxCount && bytes <= maxBytes) return;
  throw new AppError("USER_FILES_TOO_LARGE", `There are ${files.length} user files with ${bytes} bytes.`, {
    help: `Name fewer of them: at most ${maxCount}, and ${maxBytes} bytes.`,
  });
}

/** Takes the user's files out of a spec, which keeps what is told of them, and returns them whole. Empty: there are none. */
export function takeUserFiles({ userFiles }: SessionSpec): UserFile[] {
  if (userFiles === undefined) return [];
  const files = userFiles.files.map((file) => ({ ...file, sizeBytes: BigInt(file.data.length) }));
  userFiles.fileCount = files.length;
  userFiles.sizeBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0n);
  userFiles.leftOut = cutLeftOut(userFiles.leftOut);
  userFiles.files = files.slice(0, MAX_TOLD).map((file) => ({ ...file, data: new Uint8Array() }));
  return files;
}

function invalid(path: string, why: string): AppError {
  return new AppError("USER_FILE_INVALID", `"${cutChars(path, 100)}" ${why}.`, {
    help: USER_FILES_HELP,
  });
}
