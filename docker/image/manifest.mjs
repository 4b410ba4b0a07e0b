import { readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * The version of the package whose root this is: the version of everything built from it.
 * @param {string} root
 * @returns {string}
 */
export function packageVersion(root) {
  return manifest(root).version;
}

/**
 * The Node version that development and images share: the dev dependency `node`.
 * @param {string} root
 * @returns {string}
 */
export function nodeVersion(root) {
  return manifest(root).devDependencies.node;
}

/** @param {string} root */
function manifest(root) {
  return JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
}
