// What npm inside a build stage needs from this machine: where packages come from, with which key, and whom to trust.
import { existsSync, readFileSync } from "node:fs";
import { ask } from "../setup/run.mjs";

const PLAIN = /^(registry|@[^:]+:registry|https?-proxy|proxy|noproxy|strict-ssl)$/;

/** Returns the text of an npmrc and of a CA bundle; either may be empty. Both may hold secrets. */
export async function npmInputs() {
  const { stdout } = await ask("npm", ["config", "list", "--json"]);
  const config = JSON.parse(stdout || "{}");
  const plain = Object.entries(config).filter(([key, value]) => PLAIN.test(key) && isSet(value));
  const files = [config.globalconfig, config.userconfig].filter((path) => path && existsSync(path));
  const lines = [
    ...plain.map(([key, value]) => `${key}=${value}`),
    ...files.flatMap((path) => credentials(readFileSync(path, "utf8"))),
    ...Object.entries(process.env).flatMap(([name, value]) =>
      /^npm_config_\/\//i.test(name) ? [`${name.slice(11)}=${value}`] : [],
    ),
  ];
  return { npmrc: lines.map((line) => `${line}\n`).join(""), ca: authorities(config.cafile), config };
}

/**
 * `npm config list` hides the credentials of a registry ("//host/:_authToken"), so they come from the files.
 * @param {string} text
 */
function credentials(text) {
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line.startsWith("//"));
  return lines.map((line) => line.replaceAll(/\$\{([^}]+)\}/g, (whole, name) => process.env[name] ?? whole));
}

/** @param {string | undefined} cafile */
function authorities(cafile) {
  const paths = new Set(
    [cafile, process.env.NODE_EXTRA_CA_CERTS, process.env.SSL_CERT_FILE].flatMap((path) =>
      path && existsSync(path) ? [path] : [],
    ),
  );
  return [...paths].map((path) => readFileSync(path, "utf8")).join("\n");
}

/** @param {unknown} value */
function isSet(value) {
  return value !== null && value !== "" && !(Array.isArray(value) && value.every((item) => item === ""));
}
