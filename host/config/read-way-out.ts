import { readFileSync } from "node:fs";
import { AppError } from "../../proto/index.ts";
import type { WayOutSettings } from "../broker/way-out.ts";
import { expandHome, homeDirectory } from "../directories.ts";
import type { Settings } from "./settings.ts";

/** Variables that name files of authorities, as Node and OpenSSL know them. */
const TRUST = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"];

/**
 * Returns the host's way out of the user's network: proxies, and all authorities that are named. A variable that names
 * a missing file names none, as in Node. Throws PROXY_INVALID, CA_UNREADABLE.
 */
export function readWayOut(
  env: NodeJS.ProcessEnv,
  settings: Pick<Settings, "https_proxy" | "http_proxy" | "no_proxy" | "ca_file">,
): WayOutSettings {
  const caFile = settings.ca_file && expandHome(settings.ca_file, () => homeDirectory(env));
  const others = TRUST.map((name) => env[name]).filter((path) => path !== undefined && path !== caFile);
  return {
    httpsProxy: readProxy("https_proxy", settings.https_proxy),
    httpProxy: readProxy("http_proxy", settings.http_proxy),
    noProxy: settings.no_proxy
      .toLowerCase()
      .split(/[\s,]+/)
      .filter((entry) => entry !== ""),
    authorities: [
      ...(caFile === undefined ? [] : [readAuthorities(caFile)]),
      ...others.flatMap((path) => tryRead(path!) ?? []).filter(isPem),
    ],
  };
}

/** Says nothing of the value: it may hold a password. */
function readProxy(name: string, value: string | undefined): URL | undefined {
  if (value === undefined || value.trim() === "") return undefined;
  const text = value.includes("://") ? value : `http://${value}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "http:" && url.hostname !== "") return url;
  const what = url === undefined ? "is no URL" : `is a proxy that is asked by ${url.protocol.slice(0, -1)}`;
  throw new AppError("PROXY_INVALID", `${name} (${name.toUpperCase()}) ${what}.`, {
    help: "Use the address of an HTTP proxy, such as http://proxy.example:3128.",
  });
}

function readAuthorities(path: string): string {
  const text = tryRead(path);
  if (text !== undefined && isPem(text)) return text;
  const what = text === undefined ? "cannot be read" : "holds no certificate in PEM";
  throw new AppError("CA_UNREADABLE", `ca_file names ${path}, which ${what}.`, {
    help: "Name a file with the authorities of your network, as text (-----BEGIN CERTIFICATE-----).",
    metadata: { path },
  });
}

function isPem(text: string): boolean {
  return text.includes("-----BEGIN CERTIFICATE-----");
}

function tryRead(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
