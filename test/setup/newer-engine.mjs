// node test/setup/newer-engine.mjs
//
// A Docker engine that is newer than Debian 12's, for the tests: Debian 13's, unpacked into a directory of this user's and
// not installed. Prints that directory, and fetches it first where it is missing. Needs root on Debian, Ubuntu or a relative.
// Promises: nothing that Debian has not signed; the machine's own packages, sources and engine stay as they are.
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { debianMirror } from "../../docker/base/debian-mirror.mjs";
import { aptInstall, onPath } from "../../docker/setup/apt.mjs";
import { hashPaths } from "../../docker/setup/hash.mjs";
import { withLock } from "../../docker/setup/lock.mjs";
import { main } from "../../docker/setup/main.mjs";
import { ask, work } from "../../docker/setup/run.mjs";
import { SetupError, say } from "../../docker/setup/say.mjs";
import { stateDirectory, withDirectory } from "../../docker/setup/state.mjs";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const SUITE = "trixie";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
/** The engine, and the libraries that its runc needs newer than Debian 12 has them. */
const PACKAGES = ["docker.io", "containerd", "runc", "tini", "libc6", "libseccomp2"];

/** Makes sure of the newer engine's programs, and returns the directory that they are in (usr/sbin, usr/bin). */
export async function newerEngine() {
  const directory = join(stateDirectory(), "newer-engine");
  const marker = join(directory, "recipe");
  const recipe = hashPaths(ROOT, ["test/setup/newer-engine.mjs"]);
  if (existsSync(marker) && readFileSync(marker, "utf8") === recipe) return directory;
  await tools();
  say(`fetching Docker of Debian's ${SUITE}, for the tests only`);
  await withDirectory("newer-engine-download", async (download) => {
    const unpacked = join(download, "root");
    for (const file of await fetchPackages(download)) await must("dpkg-deb", ["--extract", file, unpacked]);
    rmSync(directory, { recursive: true, force: true });
    renameSync(unpacked, directory);
  });
  await useOwnLibraries(directory, "usr/sbin/runc");
  writeFileSync(marker, recipe);
  return directory;
}

async function tools() {
  const missing = [
    ...(onPath("patchelf") ? [] : ["patchelf"]),
    ...(existsSync(KEYRING) ? [] : ["debian-archive-keyring"]),
  ];
  if (missing.length > 0) await aptInstall(missing);
}

/**
 * apt, with lists and a source of its own: it checks signatures and hashes as for an installation.
 * @param {string} directory
 */
async function fetchPackages(directory) {
  const packages = join(directory, "packages");
  for (const path of [packages, join(directory, "lists/partial"), join(directory, "cache/archives/partial")])
    mkdirSync(path, { recursive: true });
  const sources = join(directory, "sources.list");
  writeFileSync(sources, `deb [signed-by=${KEYRING}] ${debianMirror()} ${SUITE} main\n`);
  const settings = {
    "Dir::Etc::sourcelist": sources,
    "Dir::Etc::sourceparts": "/dev/null",
    "Dir::Etc::preferences": "/dev/null",
    "Dir::Etc::preferencesparts": "/dev/null",
    "Dir::State::lists": join(directory, "lists"),
    "Dir::Cache": join(directory, "cache"),
    "Acquire::Retries": "3",
    // The directory is private, also to apt's own user.
    "APT::Sandbox::User": "root",
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  const hint = `Make ${debianMirror()} reachable, with the suite ${SUITE}.`;
  await work("apt-get", [...options, "-q", "update"], { title: "apt-get update of the newer engine", hint });
  await work("apt-get", [...options, "-q", "download", ...PACKAGES], {
    title: "apt-get download",
    cwd: packages,
    hint,
    step: (line) => (line.startsWith("Get:") ? line : undefined),
  });
  return readdirSync(packages).map((name) => join(packages, name));
}

/**
 * By an absolute path: runc starts itself anew, without an environment that could say where to look.
 * @param {string} directory
 * @param {string} program
 */
async function useOwnLibraries(directory, program) {
  const path = join(directory, program);
  const { stdout: interpreter } = await ask("patchelf", ["--print-interpreter", path]);
  const loader = realpathSync(join(directory, "usr", interpreter));
  await must("patchelf", ["--set-interpreter", loader, "--set-rpath", dirname(loader), path]);
}

/**
 * @param {string} command
 * @param {readonly string[]} args
 */
async function must(command, args) {
  const { code, stderr } = await ask(command, args);
  if (code !== 0) throw new SetupError(`${command} failed: ${stderr}`);
}

await main(import.meta.url, async () => {
  process.stdout.write(`${await withLock(newerEngine)}\n`);
});
