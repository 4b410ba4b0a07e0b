import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundleProgram } from "../../docker/build.mjs";

/** The program of these sources, as files that start quickly. */
export interface BundledHost extends AsyncDisposable {
  /** What runs it, without a command. */
  command: readonly string[];
}

/** Bundles the host as `npm run build` does, into a directory of its own and with any version. */
export async function bundleHost(options: { version: string }): Promise<BundledHost> {
  const directory = await mkdtemp(join(tmpdir(), "claudecluster-bundle-"));
  const outfile = join(directory, "claudecluster.mjs");
  await bundleProgram({ entry: "host/main.ts", outfile, version: options.version, split: true });
  return {
    command: [process.execPath, outfile],
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}
