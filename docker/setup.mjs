#!/usr/bin/env node
// node docker/setup.mjs [--test]
//
// Makes this machine ready to build, test and demonstrate ClaudeCluster: npm packages, bundles, a Docker engine, the agent
// image, and with --test the host image and the programs that only tests use, root's a second, newer engine among them.
// Runs on any Node from 20, before anything is installed.
// Promises: quick, with one line, where nothing is to do; one at a time; exit code 3 and what to do where it cannot go on.
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { agentImage } from "./image/agent-image.mjs";
import { hostImage } from "./image/host-image.mjs";
import { canInstall } from "./setup/apt.mjs";
import { bundle } from "./setup/bundle.mjs";
import { engine } from "./setup/engine.mjs";
import { withLock } from "./setup/lock.mjs";
import { main } from "./setup/main.mjs";
import { npmCi } from "./setup/npm-ci.mjs";
import { say, seconds, SetupError } from "./setup/say.mjs";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const QUICK_MS = 3000;

/** All steps in order; `test` adds what only the tests need. */
export async function setup({ test = false, root = ROOT } = {}) {
  const started = Date.now();
  await withLock(async () => {
    await npmCi(root);
    await bundle(root);
    await engine();
    await agentImage(root);
    if (test) {
      await hostImage(root);
      // Not in the package, as the tests are not.
      const { testTools } = await import("../test/setup/test-tools.mjs");
      const { inspector } = await import("../test/setup/inspector.mjs");
      const { prometheus } = await import("../test/setup/prometheus.mjs");
      const { newerEngine } = await import("../test/setup/newer-engine.mjs");
      await testTools();
      await inspector();
      await prometheus();
      // Only root can start it, and only then its tests are part of the suite.
      if (canInstall()) await newerEngine();
    }
  });
  say(Date.now() - started > QUICK_MS ? `set up in ${seconds(started)}` : "everything is set up");
}

await main(import.meta.url, async (args) => {
  const unknown = args.find((arg) => arg !== "--test");
  if (unknown)
    throw new SetupError(`Unknown option ${unknown}`, { hint: "Usage: node docker/setup.mjs [--test]", exitCode: 2 });
  await setup({ test: args.includes("--test") });
});
