import { access, constants } from "node:fs/promises";
import { delimiter, isAbsolute, join } from "node:path";
import { AppError } from "../../proto/index.ts";

/** Finds Claude Code by its name or absolute path, in directories separated by colons. Throws CLAUDE_NOT_FOUND. */
export async function findCommand(command: string, path: string): Promise<string> {
  const candidates = isAbsolute(command) ? [command] : path.split(delimiter).map((folder) => join(folder, command));
  for (const candidate of candidates) {
    try {
      await access(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not here.
    }
  }
  throw new AppError("CLAUDE_NOT_FOUND", `There is no program "${command}" in the container.`, {
    metadata: { command },
    help: "Use an image with Claude Code in it.",
  });
}
