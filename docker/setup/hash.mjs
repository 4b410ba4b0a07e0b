import { createHash } from "node:crypto";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/**
 * One hash over named texts, in the order given.
 * @param {readonly string[]} texts
 */
export function hashTexts(texts) {
  const hash = createHash("sha256");
  for (const text of texts) hash.update(`${text.length}:`).update(text);
  return hash.digest("hex");
}

/**
 * One hash over the names and bytes of files and of everything below directories; what does not exist counts as absent.
 * @param {string} root
 * @param {readonly string[]} paths
 * @param {{ skip?: (path: string) => boolean }} [options]
 */
export function hashPaths(root, paths, { skip = () => false } = {}) {
  const hash = createHash("sha256");
  for (const path of paths.flatMap((path) => listFiles(root, path)).filter((path) => !skip(path))) {
    const bytes = readFileSync(join(root, path));
    hash.update(`${path}:${bytes.length}:`).update(bytes);
  }
  return hash.digest("hex");
}

/**
 * The files that a path below a directory stands for: itself, or all below it, or none where nothing is there.
 * @param {string} root
 * @param {string} path
 * @returns {string[]}
 */
export function listFiles(root, path) {
  const stat = statSync(join(root, path), { throwIfNoEntry: false });
  if (stat === undefined) return [];
  if (!stat.isDirectory()) return [path];
  return readdirSync(join(root, path))
    .sort()
    .flatMap((name) => listFiles(root, join(path, name)));
}
