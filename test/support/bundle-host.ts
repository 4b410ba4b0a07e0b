import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundleProgram } from "../../docker/build.mjs";

const MODULES = join(import.meta.dirname, "../../node_modules");

/** The program of these sources, as a file that starts quickly. */
export interface BundledHost extends AsyncDisposable {
  /** What runs it, without a command. */
  command: readonly string[];
}

/** Bundles the host as `npm run build` does, into a directory of its own and with any version. */
export async function bundleHost(options: { version: string }): Promise<BundledHost> {
  const directory = await mkdtemp(join(tmpdir(), "claudecluster-bundle-"));
  const outfile = join(directory, "claudecluster.mjs");
  // As where it is installed: not all that it asks for is in it.
  await symlink(MODULES, join(directory, "node_modules"));
  await bundleProgram({ entry: "host/main.ts", outfile, version: options.version });
  return {
    command: [process.execPath, outfile],
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}
