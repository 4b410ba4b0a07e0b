import type { WishDefaults } from "./local-source.ts";

/** Returns what the user has set for what goes into sessions. */
export async function readWishDefaults(configDirectory: string): Promise<WishDefaults> {
  const { readConfigFile } = await import("../config/config-file.ts");
  const { worktree_include: worktreeInclude, user_files: userFiles } = readConfigFile(configDirectory);
  return { worktreeInclude, userFiles };
}
