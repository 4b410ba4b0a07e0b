import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** The program of these sources, as a file that starts quickly. */
export interface BundledHost extends AsyncDisposable {
  /** What runs it, without a command. */
  command: readonly string[];
}

/** Bundles the host as `npm run build` does, into a directory of its own and with any version. */
export async function bundleHost(options: { version: string }): Promise<BundledHost> {
  const directory = await mkdtemp(join(tmpdir(), "claudecluster-bundle-"));
  const outfile = join(directory, "claudecluster.mjs");
  await build({
    entryPoints: [fileURLToPath(new URL("../../host/main.ts", import.meta.url))],
    bundle: true,
    platform: "node",
    target: "node22",
    format: "esm",
    outfile,
    logLevel: "error",
    banner: { js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);" },
    define: { "process.env.CLAUDECLUSTER_VERSION": JSON.stringify(options.version) },
    external: ["ssh2", "cpu-features"],
  });
  return {
    command: [process.execPath, outfile],
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}
