#!/usr/bin/env node
// Starts the host on a Node that can run it. Written for old ones too.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import module from "node:module";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const { enableCompileCache = () => {} } = module;
/** @type {[major: number, minor: number]} */
const NEEDED = [22, 13];
const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const program = join(root, "dist", "host", "claudecluster.mjs");

const fits = (/** @type {string} */ version) => {
  const [major = 0, minor = 0] = version.replace(/^v/, "").split(".").map(Number);
  return major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1]);
};

/** Other Nodes that may be on this machine, likeliest first. */
const candidates = () => {
  const name = process.platform === "win32" ? "node.exe" : "node";
  const versions = (/** @type {string} */ directory, /** @type {string[]} */ rest) =>
    existsSync(directory)
      ? readdirSync(directory)
          .sort()
          .reverse()
          .map((entry) => join(directory, entry, ...rest, name))
      : [];
  return [
    process.env.CLAUDECLUSTER_NODE,
    join(root, "node_modules", "node", "bin", name),
    ...(process.env.PATH || "").split(delimiter).map((directory) => join(directory, name)),
    "/usr/local/bin/node",
    "/opt/homebrew/bin/node",
    ...versions(join(process.env.NVM_DIR || join(homedir(), ".nvm"), "versions", "node"), ["bin"]),
    ...versions(join(homedir(), ".local", "share", "fnm", "node-versions"), ["installation", "bin"]),
    ...versions(join(homedir(), ".volta", "tools", "image", "node"), ["bin"]),
    ...versions(join(homedir(), ".asdf", "installs", "nodejs"), ["bin"]),
  ].flatMap((path) => (path && existsSync(path) ? [path] : []));
};

const findNode = () =>
  candidates().find((path) => {
    const { status, stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
    return status === 0 && fits(stdout.trim());
  });

if (!existsSync(program)) {
  console.error("claudecluster has not been built.\nRun: npm run setup");
  process.exit(3);
}
if (fits(process.versions.node)) {
  // Saves a quarter of the start. Beside the program: whoever may write there may change it anyway.
  enableCompileCache(join(root, "dist", ".cache"));
  await import(pathToFileURL(program).href);
} else {
  const node = findNode();
  if (node === undefined) {
    console.error(`claudecluster needs Node ${NEEDED.join(".")} or later; this is ${process.versions.node}.`);
    console.error("Install a newer Node, or name one: CLAUDECLUSTER_NODE=/path/to/node");
    process.exit(3);
  }
  if (process.platform !== "win32" && typeof process.execve === "function")
    process.execve(node, [node, program, ...process.argv.slice(2)]);
  // Signals reach the child by themselves: it shares our terminal, or gets them passed on.
  const { spawn } = await import("node:child_process");
  const child = spawn(node, [program, ...process.argv.slice(2)], { stdio: "inherit" });
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]))
    process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => process.exit(signal ? 1 : code));
}
