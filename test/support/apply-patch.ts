import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { git } from "../model/small-repository.ts";

/** Applies a patch to a fresh checkout and returns every file's content by path. */
export async function applyPatch(bareRepository: string, patch: string | Uint8Array): Promise<Record<string, string>> {
  const directory = await mkdtemp(join(tmpdir(), "claudecluster-apply-"));
  try {
    const tree = join(directory, "tree");
    await git(directory, "clone", "-q", bareRepository, tree);
    const file = join(directory, "patch");
    await writeFile(file, patch);
    if (patch.length > 0) await git(tree, "apply", "--index", "--binary", file);
    const files: Record<string, string> = {};
    for (const entry of await readdir(tree, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name).slice(tree.length + 1);
      if (entry.isFile() && !path.startsWith(".git/")) files[path] = await readFile(join(tree, path), "latin1");
    }
    return files;
  } finally {
    await rm(directory, { recursive: true });
  }
}
