import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const UNREAD = ["doc", "man", "info", "locale", "groff", "lintian", "linda"].map((name) => `usr/share/${name}`);
const EMPTIED = ["var/cache/apt", "var/cache/debconf", "var/lib/apt/lists", "var/log"];
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

const FILES = {
  // Later packages come without manuals and translations as well.
  "etc/dpkg/dpkg.cfg.d/docker": `${UNREAD.map((path) => `path-exclude /${path}/*\n`).join("")}path-include /usr/share/doc/*/copyright\n`,
  "etc/apt/apt.conf.d/docker": 'Acquire::Languages "none";\nAcquire::GzipIndexes "true";\n',
  "etc/apt/sources.list.d/debian.sources": [
    source("debian", "bookworm bookworm-updates"),
    source("debian-security", "bookworm-security"),
  ].join("\n"),
  "etc/hostname": "localhost\n",
  "etc/resolv.conf": "",
  "etc/machine-id": "",
};

function source(archive, suites) {
  return `Types: deb\nURIs: http://deb.debian.org/${archive}\nSuites: ${suites}\nComponents: main\nSigned-By: ${KEYRING}\n`;
}

/** Takes out of a fresh Debian tree what a container never reads, and what it took over from this machine. */
export function slim(system) {
  for (const path of UNREAD) removeAllButCopyright(join(system, path));
  for (const path of EMPTIED) empty(join(system, path));
  rmSync(join(system, "etc/apt/sources.list"), { force: true });
  for (const [path, text] of Object.entries(FILES)) write(join(system, path), text);
  // No package may start a service while it is installed.
  write(join(system, "usr/sbin/policy-rc.d"), "#!/bin/sh\nexit 101\n");
  chmodSync(join(system, "usr/sbin/policy-rc.d"), 0o755);
}

function removeAllButCopyright(directory) {
  for (const entry of list(directory)) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) removeAllButCopyright(path);
    else if (entry.name !== "copyright") rmSync(path);
  }
}

function list(directory) {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return []; // this release has no such directory
  }
}

function empty(directory) {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
}

function write(path, text) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { mode: 0o644 });
}
