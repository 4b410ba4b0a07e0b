import { readFileSync } from "node:fs";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { Socket } from "node:net";
import type { DockerOptions } from "dockerode";
import { homeDirectory } from "../../directories.ts";
import { type EngineAddress, findEngineAddress } from "./engine-address.ts";

/** Part of docker-modem, the transport in dockerode, that is used. */
export interface Transport {
  dial(options: object, callback: (error: Error | null, answer: unknown) => void): void;
  agent?: HttpAgent;
}

const KEEP_ALIVE_MS = 30_000;

/** Everything is named, since dockerode takes what is missing from DOCKER_HOST and its kin. */
const NOTHING: DockerOptions = {
  socketPath: undefined,
  host: undefined,
  port: undefined,
  ca: undefined,
  cert: undefined,
  key: undefined,
  timeout: undefined,
};

/** Loads dockerode (0.2 s, once) and points it at an engine. Default: the one that the docker CLI would take. */
export async function openTransport(given: EngineAddress | undefined): Promise<Transport> {
  const address =
    given ?? findEngineAddress({ env: process.env, homeDirectory: homeOrNone(), platform: process.platform, readText });
  const { default: Dockerode } = await import("dockerode");
  const transport = new Dockerode(dockerOptions(address)).modem as Transport;
  // No connection is used twice: a kept one may have died, and then nobody knows whether a create was received.
  transport.agent = address.kind === "tcp" && address.tls !== undefined ? new HttpsAgent() : new HttpAgent();
  keepAlive(transport.agent);
  return transport;
}

/** On the way to a remote engine, silent connections are forgotten; and a wait is silent for hours. */
function keepAlive(agent: HttpAgent): void {
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (...args) => {
    const socket = connect(...args);
    if (socket instanceof Socket) socket.setKeepAlive(true, KEEP_ALIVE_MS);
    return socket;
  };
}

function dockerOptions(address: EngineAddress): DockerOptions {
  if (address.kind === "socket") return { ...NOTHING, socketPath: address.path, protocol: "http" };
  const { host, port, tls } = address;
  return { ...NOTHING, ...tls, host, port, protocol: tls === undefined ? "http" : "https" };
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // Not there, or not for us: the search goes on.
  }
}

/** Where there is none, docker has no configuration to read. */
function homeOrNone(): string {
  try {
    return homeDirectory(process.env);
  } catch {
    return "/nonexistent";
  }
}
