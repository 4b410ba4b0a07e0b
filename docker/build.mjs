#!/usr/bin/env node
// node docker/build.mjs
//
// Bundles the agent and the host, each into one file below dist/, with the version of package.json. Needs `npm ci` only.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { main } from "./setup/main.mjs";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * Makes one file of a program and all that it imports, for Node 22 and later.
 * @param {{ entry: string, outfile: string, version: string }} program
 */
export async function bundleProgram({ entry, outfile, version }) {
  await build({
    entryPoints: [join(ROOT, entry)],
    outfile,
    bundle: true,
    platform: "node",
    target: "node22",
    format: "esm",
    logLevel: "warning",
    // Packages that are CommonJS ask for Node's own modules with require.
    banner: { js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);" },
    define: { "process.env.CLAUDECLUSTER_VERSION": JSON.stringify(version) },
    // What dockerode takes for engines that are reached over ssh, which are not supported.
    external: ["ssh2", "cpu-features"],
  });
}

await main(import.meta.url, async () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  await bundleProgram({ entry: "agent/main.ts", outfile: join(ROOT, "dist/agent.mjs"), version });
  await bundleProgram({ entry: "host/main.ts", outfile: join(ROOT, "dist/claudecluster.mjs"), version });
});
