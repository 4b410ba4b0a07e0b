// The base image for machines without Docker Hub: Debian 12 by debootstrap, Node and npm from the npm registry.
// Equivalent to node:24-bookworm-slim for our purposes, and under a tag of our own. Needs root on Debian or Ubuntu.
// Promises: Debian's standard package sources inside, whatever mirror it came from; nothing of the machine in it.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { aptInstall, canInstall, onPath } from "../setup/apt.mjs";
import { hashPaths, hashTexts } from "../setup/hash.mjs";
import { ask, work } from "../setup/run.mjs";
import { SetupError, say } from "../setup/say.mjs";
import { withDirectory } from "../setup/state.mjs";
import { nodeVersion } from "../image/manifest.mjs";
import { debianMirror } from "./debian-mirror.mjs";
import { slim } from "./slim.mjs";

export const OWN_BASE = "claudecluster/base:bookworm-node24";
const NPM_VERSION = "11";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** What the image is made of, as one key; kept on the image as a label. */
export function recipeKey(root) {
  return hashTexts([hashPaths(root, ["docker/base/build-base.mjs", "docker/base/slim.mjs"]), nodeVersion(root)]);
}

export async function buildBase(root) {
  const arch = await architecture();
  await tools();
  await withDirectory("base", async (directory) => {
    const system = join(directory, "root");
    await bootstrap(system);
    await addNode(join(system, "usr/local"), directory, { arch, version: nodeVersion(root) });
    slim(system);
    await importImage(system, join(directory, "root.tar"), root);
  });
}

async function architecture() {
  const { stdout } = await ask("docker", ["version", "--format", "{{.Server.Arch}}"]);
  const arch = { amd64: "x64", arm64: "arm64" }[stdout];
  if (arch === process.arch && canInstall()) return arch;
  throw new SetupError("The base image can neither be pulled nor be made on this machine.", {
    hint: "Make Docker Hub reachable, run this as root on Debian or Ubuntu, or name a Debian 12 image with Node 24 and npm: node docker/build-image.mjs --base IMAGE",
    exitCode: 3,
  });
}

async function tools() {
  const missing = [
    ...(onPath("debootstrap") ? [] : ["debootstrap"]),
    ...(existsSync(KEYRING) ? [] : ["debian-archive-keyring"]),
  ];
  if (missing.length > 0) await aptInstall(missing);
}

// In a mount namespace of its own: what debootstrap mounts below the new root is gone when it ends, however it ends.
async function bootstrap(system) {
  const mirror = debianMirror();
  say(`installing Debian 12 into the base image from ${mirror}`);
  const options = ["--variant=minbase", `--keyring=${KEYRING}`, "--include=ca-certificates,libatomic1,libstdc++6"];
  await work("unshare", ["--mount", "debootstrap", ...options, "bookworm", system, mirror], {
    title: "debootstrap",
    step: (line) => (/^I: /.test(line) ? line.slice(3) : undefined),
  });
}

async function addNode(prefix, directory, { arch, version }) {
  say(`adding Node ${version} and npm to the base image`);
  const node = await pack(`node-linux-${arch}@${version}`, join(directory, "node"));
  const npm = await pack(`npm@${NPM_VERSION}`, join(directory, "npm"));
  const modules = join(prefix, "lib/node_modules/npm");
  await unpack(node, prefix, ["package/bin/node", "package/LICENSE"]);
  await unpack(npm, modules, []);
  for (const name of ["npm", "npx"])
    await must("ln", ["-s", `../lib/node_modules/npm/bin/${name}-cli.js`, join(prefix, "bin", name)]);
}

async function pack(spec, directory) {
  await must("mkdir", [directory]);
  await work("npm", ["pack", spec, "--pack-destination", directory, "--loglevel=error"], {
    title: `npm pack ${spec}`,
    cwd: directory,
  });
  return join(directory, readdirSync(directory)[0]);
}

async function unpack(archive, directory, members) {
  await must("mkdir", ["-p", directory]);
  await must("tar", ["-xzf", archive, "-C", directory, "--no-same-owner", "--strip-components=1", ...members]);
}

async function must(command, args) {
  const { code, stderr } = await ask(command, args);
  if (code !== 0) throw new SetupError(`${command} failed: ${stderr}`);
}

async function importImage(system, archive, root) {
  say(`importing ${OWN_BASE}`);
  const changes = [
    `ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin NODE_VERSION=${nodeVersion(root)}`,
    `LABEL dev.claudecluster.recipe=${recipeKey(root)}`,
    'CMD ["node"]',
  ];
  await must("tar", ["-cf", archive, "--numeric-owner", "--exclude=./dev/*", "-C", system, "."]);
  await work("docker", ["import", ...changes.flatMap((change) => ["--change", change]), archive, OWN_BASE], {
    title: "docker import",
  });
}
