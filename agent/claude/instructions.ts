import { join, relative } from "node:path";
import { AppError, lastChars } from "../../proto/index.ts";
import type { Identity } from "../process/identity.ts";
import { run } from "../process/run.ts";

// Claude Code 2.1.332 reads a repository's CLAUDE.md with its settings or not at all. The user's own CLAUDE.md may
// import any file, though, and one that is not there is no error: https://code.claude.com/docs/en/memory

/** Where a repository keeps its instructions. */
const FILES = ["CLAUDE.md", ".claude/CLAUDE.md"];

/** $1 is the directory, the content comes from stdin. */
const WRITE = 'mkdir -p -- "$1" && exec cat > "$1/CLAUDE.md"';

/**
 * Makes Claude read the repository's CLAUDE.md files, and nothing else of what the repository brings for Claude Code.
 * Throws INSTRUCTIONS_NOT_WRITTEN.
 */
export async function importInstructions(options: {
  workTree: string;
  /** Where Claude starts, in there: what the directories on the way say counts too. */
  cwd: string;
  home: string;
  /** Where programs are looked for. */
  path: string;
  identity: Identity | undefined;
  signal: AbortSignal;
}): Promise<void> {
  const { workTree, cwd, home, path, identity, signal } = options;
  const names = relative(workTree, cwd)
    .split("/")
    .filter((name) => name !== "");
  const directories = ["", ...names].map((_, depth) => join(workTree, ...names.slice(0, depth)));
  const files = directories.flatMap((directory) => FILES.map((file) => join(directory, file)));
  const input = Buffer.from(files.map((file) => `@${file}\n`).join(""));
  const child = { identity, env: { PATH: path, LC_ALL: "C" }, umask: "077" };
  const { code, stderr } = await run("sh", ["-c", WRITE, "sh", join(home, ".claude")], { ...child, input, signal });
  if (code === 0) return;
  const said = lastChars(stderr.trim(), 500);
  throw new AppError("INSTRUCTIONS_NOT_WRITTEN", `Claude's home directory cannot be written: ${said}.`, {
    metadata: { stderr: said },
    help: "Use an image in which the session's user owns its home.",
  });
}
