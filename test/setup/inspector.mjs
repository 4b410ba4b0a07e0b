import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { work } from "../../docker/setup/run.mjs";
import { say } from "../../docker/setup/say.mjs";
import { stateDirectory, withDirectory } from "../../docker/setup/state.mjs";

const PACKAGE = "@modelcontextprotocol/inspector";
const VERSION = "2.12.0";
const directory = join(stateDirectory(), "mcp-inspector");
const marker = join(directory, "version");

/** Program of the MCP Inspector's command line. */
export const INSPECTOR = join(directory, "node_modules", PACKAGE, "clients/launcher/build/index.js");

/**
 * Makes sure of the MCP Inspector, another MCP client, for the tests only. It is no dependency of development: it brings a web
 * application's hundred packages, and is not needed to build. Its install scripts do not run.
 */
export async function inspector() {
  if (existsSync(marker) && readFileSync(marker, "utf8") === VERSION) return;
  say(`installing ${PACKAGE}, for the tests only`);
  await withDirectory("mcp-inspector-install", async (fresh) => {
    writeFileSync(join(fresh, "package.json"), JSON.stringify({ private: true }));
    const args = [
      "install",
      "--ignore-scripts",
      "--no-audit",
      "--no-fund",
      "--loglevel=error",
      `${PACKAGE}@${VERSION}`,
    ];
    await work("npm", args, { title: "MCP Inspector", cwd: fresh });
    writeFileSync(join(fresh, "version"), VERSION);
    rmSync(directory, { recursive: true, force: true });
    renameSync(fresh, directory);
  });
}
