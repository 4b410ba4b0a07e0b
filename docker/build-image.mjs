#!/usr/bin/env node
// node docker/build-image.mjs [--claude-version X] [--at-least X] [--base IMAGE] [--tag T] [--force] [--host] [--no-install]
//
// Builds the agent image (or, with --host, the host image) from a minimal, temporary build context; does nothing where
// an image with the same inputs is there. Works from a clone and from the installed npm package: all it needs is this
// directory, package.json and dist/. Without --tag: claudecluster/agent:latest. --at-least: the usual Claude Code, unless
// that is older. --no-install: for whom nobody has asked, such as a host before its first session.
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { agentImage } from "./image/agent-image.mjs";
import { hostImage } from "./image/host-image.mjs";
import { engine, reachEngine } from "./setup/engine.mjs";
import { withLock } from "./setup/lock.mjs";
import { main } from "./setup/main.mjs";
import { say, SetupError } from "./setup/say.mjs";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const USAGE =
  "Usage: node docker/build-image.mjs [--claude-version X] [--at-least X] [--base IMAGE] [--tag T] [--force] [--host] [--no-install]";

await main(import.meta.url, async (args) => {
  const given = parse(args);
  const { base, tag, force, host } = given;
  const options = {
    ...{ claudeVersion: given["claude-version"], atLeast: given["at-least"] },
    ...{ base, force, ...(tag ? { tags: [tag] } : {}) },
  };
  await withLock(async () => {
    await (given["no-install"] ? reachEngine() : engine());
    const built = host ? await hostImage(ROOT, options) : await agentImage(ROOT, options);
    say(built ? `built ${built.join(" and ")}` : "the image is up to date (--force builds it again)");
  });
});

/** @param {string[]} args */
function parse(args) {
  const option = /** @type {const} */ ({ type: "string" });
  const flag = /** @type {const} */ ({ type: "boolean", default: false });
  try {
    return parseArgs({
      args,
      options: {
        ...{ "claude-version": option, "at-least": option, base: option, tag: option },
        ...{ force: flag, host: flag, "no-install": flag },
      },
    }).values;
  } catch (error) {
    throw new SetupError(/** @type {Error} */ (error).message, { hint: USAGE, exitCode: 2, cause: error });
  }
}
