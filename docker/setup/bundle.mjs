import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hashPaths } from "./hash.mjs";
import { environment, readStamp } from "./npm-ci.mjs";
import { work } from "./run.mjs";
import { SetupError, say } from "./say.mjs";

const STAMP = "dist/.claudecluster-built";
const RESULTS = ["dist/agent.cjs", "dist/host/claudecluster.mjs", "dist/host/page/main.js", "dist/contract/index.js"];

/**
 * Runs `npm run build` when a source changed since it last ran.
 * @param {string} root
 */
export async function bundle(root) {
  const wanted = hashPaths(root, sources(root), { skip: (path) => /\.(test|spec)\.[a-z]+$/.test(path) });
  const complete = () => RESULTS.every((path) => existsSync(join(root, path)));
  if (complete() && readStamp(join(root, STAMP)) === wanted) return;
  say("building the agent and the host (npm run build)");
  await work("npm", ["run", "-s", "build"], { title: "npm run build", cwd: root, env: environment(root) });
  if (!complete()) throw new SetupError(`npm run build ended well but did not make ${RESULTS.join(" and ")}.`);
  writeFileSync(join(root, STAMP), wanted);
}

/**
 * Besides the source folders: what builds, and the compiler's settings.
 * @param {string} root
 */
function sources(root) {
  const settings = readdirSync(root)
    .filter((name) => /^tsconfig.*\.json$/.test(name))
    .sort();
  return [
    "agent",
    "host",
    "proto",
    "test/demo",
    "test/model",
    "docker/build.mjs",
    "package.json",
    "package-lock.json",
    ...settings,
  ];
}
