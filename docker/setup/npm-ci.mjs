import { readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { hashPaths } from "./hash.mjs";
import { work } from "./run.mjs";
import { say } from "./say.mjs";

const STAMP = "node_modules/.claudecluster-installed";

/**
 * Installs the npm packages of the lock file; does nothing where that was the last thing installed.
 * @param {string} root
 */
export async function npmCi(root) {
  const wanted = `${process.platform}-${process.arch} ${hashPaths(root, ["package-lock.json"])}`;
  if (readStamp(join(root, STAMP)) === wanted) return;
  say("installing npm packages (npm ci)");
  // Errors only: a system Node older than "engines" is expected here, since the packages bring the Node that is used.
  await work("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    title: "npm ci",
    cwd: root,
    env: { ...process.env, PATH: withoutOwnBin(root) },
  });
  writeFileSync(join(root, STAMP), wanted);
}

/**
 * The environment in which `node` is the one that npm installed for this clone.
 * @param {string} root
 */
export function environment(root) {
  return { ...process.env, PATH: `${ownBin(root)}${delimiter}${withoutOwnBin(root)}` };
}

/**
 * The text of a stamp; undefined where there is none.
 * @param {string} path
 */
export function readStamp(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // no stamp: never done
  }
}

/**
 * The path without our own programs: npm ci removes node_modules first, so it must not run on the Node inside it.
 * @param {string} root
 */
function withoutOwnBin(root) {
  return (process.env.PATH ?? "")
    .split(delimiter)
    .filter((entry) => entry !== ownBin(root))
    .join(delimiter);
}

/** @param {string} root */
function ownBin(root) {
  return join(root, "node_modules", ".bin");
}
