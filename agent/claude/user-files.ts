import { join } from "node:path";
import { AppError, lastChars, type UserFile } from "../../proto/index.ts";
import { run } from "../process/run.ts";
import { archive } from "./archive.ts";
import type { UserPlace } from "./transcript.ts";

/** File that goes in with what the repository says: see writeInstructions. */
export const INSTRUCTIONS = "CLAUDE.md";

/** $1 is the directory, the archive comes from stdin. */
const UNPACK = 'mkdir -p -- "$1" && exec tar --extract --file=- --directory="$1" --no-same-owner --unlink-first';

/**
 * Copies files of a user's own set-up into Claude's configuration directory, all but its instructions. Throws
 * USER_FILES_NOT_WRITTEN. It is done as the session's user: whatever is in that directory is theirs.
 */
export async function copyUserFiles(
  files: readonly UserFile[],
  { home, path, identity, signal }: UserPlace & { signal: AbortSignal },
): Promise<void> {
  const others = files.filter((file) => file.path !== INSTRUCTIONS);
  if (others.length === 0) return;
  const child = { identity, env: { PATH: path, LC_ALL: "C.UTF-8" }, umask: "077" };
  const args = ["-c", UNPACK, "sh", join(home, ".claude")];
  const { code, stderr } = await run("sh", args, { ...child, input: archive(others), signal });
  if (code === 0) return;
  const said = lastChars(stderr.trim(), 500);
  throw new AppError("USER_FILES_NOT_WRITTEN", `The user's own files for Claude Code could not be written: ${said}.`, {
    metadata: { stderr: said },
    help: "Use an image with tar in which the session's user owns its home, and give the session more memory if they are many.",
  });
}

/** Returns the names of the commands that are among the files: those of commands, with ":" between directories, and of skills. */
export function commandNames(files: readonly UserFile[]): Set<string> {
  const names = new Set<string>();
  for (const { path } of files) {
    const command = /^commands\/(.+)\.md$/.exec(path)?.[1] ?? /^skills\/([^/]+)\/SKILL\.md$/.exec(path)?.[1];
    if (command !== undefined) names.add(command.replaceAll("/", ":"));
  }
  return names;
}
