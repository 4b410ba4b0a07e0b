import { readdir } from "node:fs/promises";
import { join } from "node:path";

/**
 * Returns the paths of all files below a directory, at any depth. What goes while it looks is left out, as are links; a directory that
 * is not there has none. Throws other errors of readdir.
 */
export async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  const paths: string[] = [];
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) paths.push(...(await filesBelow(path)));
    else if (entry.isFile()) paths.push(path);
  }
  return paths;
}
