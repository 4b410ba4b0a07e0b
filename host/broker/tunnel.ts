import { connect, isIP } from "node:net";
import type { Duplex } from "node:stream";
import { readServerName } from "./server-name.ts";
import { cutChars } from "../../proto/index.ts";

/** How long a destination may take to accept a connection. */
const CONNECT_TIMEOUT_MS = 15_000;
/** A connection on which nothing happens for so long has been forgotten. */
const IDLE_TIMEOUT_MS = 10 * 60 * 1000;
const HTTPS_PORT = 443;

export interface TunnelOptions {
  /** Out of the container. */
  socket: Duplex;
  /** What came on it after the request. */
  head: Buffer;
  destination: { host: string; port: number; address: string };
  /** Called once the destination has accepted the connection. */
  onConnected: () => void;
  /** Called if it did not. */
  onFailed: () => void;
  /** Called if the first bytes are not what may be sent there. */
  onRefused: (reason: string) => void;
  /** Called with the size of everything that passes, either way. False ends it. */
  onBytes: (count: number) => boolean;
}

/**
 * Carries bytes between a container and a destination that is allowed. TLS must ask for the name that was allowed, and on
 * port 443 it must be TLS: else a listed host's address would lead to its neighbours.
 */
export function openTunnel(options: TunnelOptions): void {
  const { socket, head, destination, onConnected, onFailed, onBytes } = options;
  const { address, port } = destination;
  const upstream = connect({ host: address, port, allowHalfOpen: true, noDelay: true, timeout: CONNECT_TIMEOUT_MS });
  const fail = () => {
    upstream.destroy();
    onFailed();
  };
  upstream.once("error", fail);
  upstream.once("timeout", fail);
  socket.once("close", () => upstream.destroy());
  upstream.once("connect", () => {
    upstream.off("error", fail);
    upstream.off("timeout", fail);
    upstream.on("error", () => socket.destroy());
    upstream.once("close", () => {
      if (!socket.writableEnded) socket.destroy();
    });
    upstream.setTimeout(IDLE_TIMEOUT_MS, () => upstream.destroy());
    onConnected();
    const count = (chunk: Buffer) => {
      if (onBytes(chunk.length)) return;
      upstream.destroy();
      socket.destroy();
    };
    // Each direction ends by itself; an error or a close ends both.
    upstream.on("data", count).pipe(socket);
    void firstBytes(socket, head, options).then((first) => {
      if (first === undefined) return upstream.destroy();
      if (first.length > 0) {
        count(first);
        upstream.write(first);
      }
      if (socket.readableEnded) upstream.end();
      else socket.on("data", count).pipe(upstream);
    });
  });
}

/** Resolves with what the client says first, once that may be passed on. Undefined: it may not, or the client has gone. */
function firstBytes(
  socket: Duplex,
  head: Buffer,
  { destination, onRefused }: TunnelOptions,
): Promise<Buffer | undefined> {
  const mustBeTls = destination.port === HTTPS_PORT;
  return new Promise((resolve) => {
    let bytes = head;
    const settle = (first: Buffer | undefined) => {
      socket.off("data", take).off("end", end).off("close", gone);
      socket.pause();
      resolve(first);
    };
    const look = () => {
      const seen = readServerName(bytes);
      if (seen.kind === "incomplete") return;
      const wrong = seen.kind === "other" ? noTls(mustBeTls) : otherName(seen.serverName, destination.host);
      if (wrong !== undefined) onRefused(wrong);
      settle(wrong === undefined ? bytes : undefined);
    };
    const take = (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      look();
    };
    // It has nothing more to say; what it said was no whole hello.
    const end = () => settle(mustBeTls ? undefined : bytes);
    const gone = () => settle(undefined);
    socket.on("data", take).on("end", end).on("close", gone);
    look();
  });
}

function noTls(mustBeTls: boolean): string | undefined {
  return mustBeTls ? "on port 443 only TLS is passed on" : undefined;
}

function otherName(serverName: string | undefined, host: string): string | undefined {
  // Names are for names: clients leave out addresses.
  if (serverName === host || (serverName === undefined && isIP(host) !== 0)) return undefined;
  return serverName === undefined ? "TLS asks for no name" : `TLS asks for ${cutChars(serverName, 100)}`;
}
