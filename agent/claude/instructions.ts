import { join, relative } from "node:path";
import { AppError, lastChars } from "../../proto/index.ts";
import { run } from "../process/run.ts";
import type { UserPlace } from "./transcript.ts";

// Claude Code 2.1.332 reads a repository's CLAUDE.md with its settings or not at all. The user's own CLAUDE.md may
// import any file, though, and one that is not there is no error: https://code.claude.com/docs/en/memory

/** Where a repository keeps its instructions. */
const FILES = ["CLAUDE.md", ".claude/CLAUDE.md"];

/** $1 is the directory, the content comes from stdin. */
const WRITE = 'mkdir -p -- "$1" && exec cat > "$1/CLAUDE.md"';

/** What Claude is told beside its task. */
export interface Instructions {
  /** The user's own CLAUDE.md. Undefined: none. */
  own: Uint8Array | undefined;
  /** Repository whose CLAUDE.md files count, and nothing else of what it brings for Claude Code. Undefined: none. */
  repository:
    | {
        workTree: string;
        /** Where Claude starts, in there: what the directories on the way say counts too. */
        cwd: string;
      }
    | undefined;
}

/** Makes Claude read the user's own instructions and those of the repository. Throws INSTRUCTIONS_NOT_WRITTEN. */
export async function writeInstructions(
  { own, repository }: Instructions,
  { home, path, identity, signal }: UserPlace & { signal: AbortSignal },
): Promise<void> {
  if (own === undefined && repository === undefined) return;
  const input = Buffer.concat([
    own ?? Buffer.alloc(0),
    Buffer.from(repository === undefined ? "" : `${own === undefined ? "" : "\n\n"}${importsOf(repository)}`),
  ]);
  const child = { identity, env: { PATH: path, LC_ALL: "C" }, umask: "077" };
  const { code, stderr } = await run("sh", ["-c", WRITE, "sh", join(home, ".claude")], { ...child, input, signal });
  if (code === 0) return;
  const said = lastChars(stderr.trim(), 500);
  throw new AppError("INSTRUCTIONS_NOT_WRITTEN", `Claude's home directory cannot be written: ${said}.`, {
    metadata: { stderr: said },
    help: "Use an image in which the session's user owns its home.",
  });
}

/** Returns the text that makes Claude read a repository's instructions. Its files need not be there yet. */
export function importsOf({ workTree, cwd }: { workTree: string; cwd: string }): string {
  const names = relative(workTree, cwd)
    .split("/")
    .filter((name) => name !== "");
  const directories = ["", ...names].map((_, depth) => join(workTree, ...names.slice(0, depth)));
  return directories.flatMap((directory) => FILES.map((file) => `@${join(directory, file)}\n`)).join("");
}
