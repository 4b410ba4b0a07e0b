import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const STANDARD = "http://deb.debian.org/debian";

/** The Debian mirror that this machine is set up with; the standard one where it is no Debian or names none. */
export function debianMirror({ etc = "/etc" } = {}) {
  if (!/^ID=debian$/m.test(read(join(etc, "os-release")))) return STANDARD;
  const texts = sourceFiles(join(etc, "apt")).map(read);
  return (
    texts.flatMap((text) => [...oneLineSources(text), ...deb822Sources(text)]).find((uri) => /^https?:/.test(uri)) ??
    STANDARD
  );
}

/** @param {string} apt */
function sourceFiles(apt) {
  const directory = join(apt, "sources.list.d");
  const names = statSync(directory, { throwIfNoEntry: false }) ? readdirSync(directory).sort() : [];
  return [
    join(apt, "sources.list"),
    ...names.filter((name) => /\.(list|sources)$/.test(name)).map((name) => join(directory, name)),
  ];
}

/**
 * deb [options] URI bookworm main: the suite is a plain code name, so that security and updates do not match.
 * @param {string} text
 */
function oneLineSources(text) {
  return [...text.matchAll(/^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+[a-z]+\s+.*\bmain\b/gm)].map(([, uri = ""]) => plain(uri));
}

/** @param {string} text */
function deb822Sources(text) {
  const stanzas = text
    .split(/\n\s*\n/)
    .filter((stanza) => /^Suites:\s*[a-z]+(\s|$)/m.test(stanza) && /^Components:.*\bmain\b/m.test(stanza));
  return stanzas
    .flatMap((stanza) => /^URIs:\s*(\S+)/m.exec(stanza)?.slice(1) ?? [])
    .filter((uri) => !/security/.test(uri))
    .map(plain);
}

/** @param {string} uri */
function plain(uri) {
  return uri.replace(/\/+$/, "");
}

/** @param {string} path */
function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // this machine has no such file
  }
}
