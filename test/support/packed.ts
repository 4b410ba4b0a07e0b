import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { bundleProgram } from "../../docker/build.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);

/** What of the host's bundle is the same in every version. */
const WITHOUT_VERSION: ReadonlySet<string> = new Set(["check-thread.mjs", "demo.mjs", "page"]);

/** The package as npm packs it. */
export interface PackedPackage {
  /** Path of the archive. */
  tarball: string;
  size: number;
  files: { path: string }[];
}

/** Packs what has been built into an archive in a directory, by default that of the sources' own version. */
export async function packPackage(directory: string, root = ROOT): Promise<PackedPackage> {
  const pack = ["pack", "--json", "--ignore-scripts", "--pack-destination", directory, root];
  // npm leaves a cache in the temporary directory.
  const { stdout } = await run("npm", pack, { cwd: directory, env: { ...process.env, TMPDIR: directory } });
  const [packed] = JSON.parse(stdout) as (Omit<PackedPackage, "tarball"> & { filename: string })[];
  return { ...packed!, tarball: join(directory, packed!.filename) };
}

/** Packs the package as it would be with another version, in a directory of its own. */
export async function packVersion(version: string, directory: string): Promise<PackedPackage> {
  await mkdir(directory);
  const { tarball } = await packPackage(directory);
  await run("tar", ["-xzf", tarball, "-C", directory]);
  await rm(tarball);
  const root = join(directory, "package");
  const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as object;
  await writeFile(join(root, "package.json"), JSON.stringify({ ...manifest, version }));
  const host = join(root, "dist/host");
  const parts = (await readdir(host)).filter((name) => !WITHOUT_VERSION.has(name));
  for (const name of parts) await rm(join(host, name));
  await bundleProgram({ entry: "host/main.ts", outfile: join(host, "claudecluster.mjs"), version, split: true });
  return await packPackage(directory, root);
}

/** Installs an archive alone below a prefix, as a user does, where nothing else is; without scripts, registry or dependencies. */
export async function installPackage(tarball: string, prefix: string): Promise<{ command: string; root: string }> {
  await mkdir(prefix, { recursive: true });
  const how = ["--global", "--prefix", prefix, "--offline", "--ignore-scripts", "--no-audit", "--no-fund"];
  await run("npm", ["install", ...how, tarball], { cwd: prefix, env: { ...process.env, TMPDIR: prefix } });
  return { command: join(prefix, "bin/claudecluster"), root: join(prefix, "lib/node_modules/claudecluster") };
}
