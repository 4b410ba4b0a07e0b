import { createHash } from "node:crypto";
import { join } from "node:path";
import { AppError } from "../../../proto/index.ts";

const SET_CERT_PATH =
  "Set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the directory with ca.pem, cert.pem and key.pem.";

/** Linux takes no longer path of a socket, and other systems less. */
const MAX_SOCKET_PATH_BYTES = 107;

/** Address at which the Docker engine listens. */
export type EngineAddress =
  { kind: "socket"; path: string } | { kind: "tcp"; host: string; port: number; tls: EngineTls | undefined };

/** Certificates and key as PEM. All three are needed: engines ask for mutual authentication. */
export interface EngineTls {
  ca: string;
  cert: string;
  key: string;
}

/** Surroundings of the search for an engine, given so that tests need no machine. */
export interface Surroundings {
  env: Readonly<Record<string, string | undefined>>;
  homeDirectory: string;
  platform: NodeJS.Platform;
  /** Returns the text of a file. Undefined: there is no such file. */
  readText: (path: string) => string | undefined;
}

/** Finds the engine as the docker CLI does: by DOCKER_HOST, DOCKER_CONTEXT, the current context, or the default. */
export function findEngineAddress(surroundings: Surroundings): EngineAddress {
  return fromDockerHost(surroundings) ?? fromContext(surroundings) ?? defaultAddress(surroundings);
}

function fromDockerHost(surroundings: Surroundings): EngineAddress | undefined {
  const { env } = surroundings;
  if (!env["DOCKER_HOST"]) return undefined;
  if (!env["DOCKER_TLS_VERIFY"]) return parseEndpoint(env["DOCKER_HOST"], "DOCKER_HOST", undefined);
  const directory = env["DOCKER_CERT_PATH"] || configDirectory(surroundings);
  const tls = readTls(surroundings, directory);
  if (tls === undefined) {
    throw unusable(`DOCKER_TLS_VERIFY is set, but ${directory} lacks ca.pem, cert.pem or key.pem.`, SET_CERT_PATH);
  }
  return parseEndpoint(env["DOCKER_HOST"], "DOCKER_HOST", tls);
}

function fromContext(surroundings: Surroundings): EngineAddress | undefined {
  const { env, readText } = surroundings;
  const directory = configDirectory(surroundings);
  const name = env["DOCKER_CONTEXT"] || currentContext(readText(join(directory, "config.json")));
  if (name === undefined || name === "" || name === "default") return undefined;
  const id = createHash("sha256").update(name).digest("hex");
  const path = join(directory, "contexts", "meta", id, "meta.json");
  const endpoint = contextEndpoint(readText(path));
  if (endpoint === undefined) {
    throw unusable(`The docker context "${name}" has no endpoint (${path}).`, "Choose another: docker context use …");
  }
  const tls = readTls(surroundings, join(directory, "contexts", "tls", id, "docker"));
  return parseEndpoint(endpoint, `The docker context "${name}"`, tls);
}

function defaultAddress({ platform }: Surroundings): EngineAddress {
  return { kind: "socket", path: platform === "win32" ? "//./pipe/docker_engine" : "/var/run/docker.sock" };
}

/** Parses an endpoint such as unix:///run/docker.sock or tcp://host:2375. Errors name its `source`. */
export function parseEndpoint(endpoint: string, source: string, tls: EngineTls | undefined): EngineAddress {
  if (/^[~./]/.test(endpoint)) {
    throw unusable(
      `${source} is a path without a scheme: "${endpoint}".`,
      `Write it as ${endpoint.startsWith("/") ? `unix://${endpoint}` : "unix:// and the path from the root on"}.`,
    );
  }
  const [, scheme, rest] = /^(?:([a-z]+):\/\/)?(.*)$/s.exec(endpoint) ?? [];
  // The host's working directory is not the caller's.
  if ((scheme === "unix" && rest?.startsWith("/")) || (scheme === "npipe" && rest)) {
    if (scheme === "unix" && Buffer.byteLength(rest!) > MAX_SOCKET_PATH_BYTES) {
      throw unusable(
        `${source} names a path that is too long for a socket: "${rest}".`,
        "Use a shorter one, or a link to it.",
      );
    }
    return { kind: "socket", path: rest! };
  }
  if (scheme === "ssh") {
    throw unusable(
      `${source} names an engine behind ssh (${endpoint}), which is not supported.`,
      "Forward its socket: ssh -NL /tmp/docker.sock:/var/run/docker.sock HOST, then DOCKER_HOST=unix:///tmp/docker.sock.",
    );
  }
  if (["tcp", "http", "https", undefined].includes(scheme) && rest && URL.canParse(`http://${rest}`)) {
    const url = new URL(`http://${rest}`);
    if (scheme === "https" && tls === undefined) {
      throw unusable(`${source} asks for TLS, but there are no client certificates.`, SET_CERT_PATH);
    }
    const port = url.port === "" ? (tls === undefined ? 2375 : 2376) : Number(url.port);
    return { kind: "tcp", host: url.hostname.replace(/^\[(.*)\]$/, "$1"), port, tls };
  }
  throw unusable(
    `${source} is not an address of an engine: "${endpoint}".`,
    "Write it as unix:///path or tcp://host:port.",
  );
}

function readTls({ readText }: Surroundings, directory: string): EngineTls | undefined {
  const [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map((name) => readText(join(directory, name)));
  if (ca === undefined || cert === undefined || key === undefined) return undefined;
  return { ca, cert, key };
}

function configDirectory({ env, homeDirectory }: Surroundings): string {
  return env["DOCKER_CONFIG"] || join(homeDirectory, ".docker");
}

function currentContext(config: string | undefined): string | undefined {
  const parsed = parseJson<{ currentContext?: unknown }>(config);
  return typeof parsed?.currentContext === "string" ? parsed.currentContext : undefined;
}

function contextEndpoint(meta: string | undefined): string | undefined {
  const host = parseJson<{ Endpoints?: { docker?: { Host?: unknown } } }>(meta)?.Endpoints?.docker?.Host;
  return typeof host === "string" && host !== "" ? host : undefined;
}

function parseJson<T>(text: string | undefined): T | undefined {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined; // The docker CLI, too, goes on with its defaults.
  }
}

function unusable(message: string, help: string): AppError {
  return new AppError("RUNTIME_UNAVAILABLE", message, { kind: "FAILED_PRECONDITION", help });
}
