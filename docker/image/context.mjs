import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { listFiles } from "../setup/hash.mjs";
import { SetupError } from "../setup/say.mjs";
import { withDirectory } from "../setup/state.mjs";

/**
 * Makes a build context in a private temporary directory, hands its path to `use`, and removes it however that ends.
 * @param {{ root: string, files?: string[], texts?: Record<string, string> }} content
 *   files, and directories of files, keep their path below `root`; texts are written as given, readable by their owner only
 * @param {(directory: string) => Promise<void>} use
 */
export function withContext({ root, files = [], texts = {} }, use) {
  return withDirectory("context", async (directory) => {
    for (const file of files) copy(root, directory, file);
    for (const [name, text] of Object.entries(texts)) writeFileSync(join(directory, name), text, { mode: 0o600 });
    return use(directory);
  });
}

/**
 * @param {string} root
 * @param {string} directory
 * @param {string} path
 */
function copy(root, directory, path) {
  const files = listFiles(root, path);
  if (files.length === 0)
    throw new SetupError(`${join(root, path)} is missing.`, { hint: "Build first: npm run build" });
  for (const file of files) {
    mkdirSync(join(directory, dirname(file)), { recursive: true });
    copyFileSync(join(root, file), join(directory, file));
    // The same modes whatever the umask of the checkout, and without COPY --chmod, which the classic builder lacks.
    chmodSync(join(directory, file), 0o755);
  }
}
