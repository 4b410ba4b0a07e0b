import { connect, isIP, type Socket } from "node:net";
import { type Duplex, Transform } from "node:stream";
import { beginsTls, ClientRecords, UNCLEAR } from "./client-records.ts";
import { GatheredBytes } from "../gathered-bytes.ts";
import type { ClientHello } from "./server-name.ts";
import { cutChars } from "../../../proto/index.ts";

/** How long a destination may take to accept a connection. */
const CONNECT_TIMEOUT_MS = 15_000;
/** A connection on which nothing happens for so long has been forgotten. */
const IDLE_TIMEOUT_MS = 10 * 60 * 1000;
const HTTPS_PORT = 443;

/** Ends of a tunnel, and what its events call. */
export interface TunnelOptions {
  /** Connection out of the container. */
  socket: Duplex;
  /** Bytes that came on it after the request. */
  head: Buffer;
  destination: { host: string; port: number; address: string | undefined };
  /** Opens the connection through a proxy. Undefined: it is made to the destination's address. */
  dial?: (() => Promise<Socket>) | undefined;
  /** Whether the TLS client may hide a name: every name at the destination's address may be asked for then. */
  mayHideName: boolean;
  /** Called once the destination has accepted the connection. */
  onConnected: () => void;
  /** Called if it did not. The reason is empty, or follows what failed. */
  onFailed: (reason: string) => void;
  /** Called if the first bytes are not what may be sent there. */
  onRefused: (reason: string) => void;
  /** Called with the number of all bytes that pass, either way. Returning false ends the tunnel. */
  onBytes: (count: number) => boolean;
}

/**
 * Carries bytes between a container and an allowed destination. TLS must ask for the allowed name in each hello, and
 * port 443 must have TLS: otherwise a listed host's address would lead to its neighbours.
 */
export function openTunnel(options: TunnelOptions): void {
  const { socket, head, destination, dial, onConnected, onFailed, onRefused, onBytes } = options;
  (dial ?? (() => connectTo(destination)))().then(carry, (error: Error) => {
    // What the proxy says is worth telling; of an address there is no more to say.
    onFailed(dial === undefined ? "" : `: ${error.message}`);
  });

  function carry(upstream: Socket): void {
    if (socket.destroyed) {
      upstream.destroy();
      return;
    }
    socket.once("close", () => upstream.destroy());
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
      const { bytes, records } = first;
      if (bytes.length > 0) {
        count(bytes);
        upstream.write(bytes);
      }
      if (socket.readableEnded) return upstream.end();
      if (records === undefined) return socket.on("data", count).pipe(upstream);
      const watched = watch(records, onRefused);
      // What is refused ends both.
      watched.once("error", () => upstream.destroy());
      return socket.on("data", count).pipe(watched).pipe(upstream);
    });
  }
}

/** Rejects if it is not accepted in time. */
function connectTo({ address = "", port }: TunnelOptions["destination"]): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const upstream = connect({ host: address, port, allowHalfOpen: true, noDelay: true, timeout: CONNECT_TIMEOUT_MS });
    upstream.once("timeout", () => upstream.destroy(new Error("it takes too long")));
    upstream.once("error", reject);
    upstream.once("connect", () => {
      upstream.off("error", reject).setTimeout(0).removeAllListeners("timeout");
      resolve(upstream);
    });
  });
}

interface First {
  bytes: Buffer;
  /** Those of TLS that follow. */
  records?: ClientRecords;
}

/** Resolves with what the client says first, once that may be passed on. Undefined: it may not, or the client has gone. */
function firstBytes(
  socket: Duplex,
  head: Buffer,
  { destination, mayHideName, onRefused }: TunnelOptions,
): Promise<First | undefined> {
  const mustBeTls = destination.port === HTTPS_PORT;
  const wrongIn = (hello: ClientHello) => {
    if (hello.mayHideName && !mayHideName) return "TLS may hide the name that it asks for (encrypted client hello)";
    return otherName(hello.serverName, destination.host);
  };
  return new Promise((resolve) => {
    const gathered = new GatheredBytes();
    let records: ClientRecords | undefined;
    const settle = (first: First | undefined) => {
      socket.off("data", take).off("end", end).off("close", gone);
      socket.pause();
      resolve(first);
    };
    const refuse = (reason: string) => {
      onRefused(reason);
      settle(undefined);
    };
    const take = (chunk: Buffer) => {
      gathered.push(chunk);
      const { bytes } = gathered;
      let next = chunk;
      if (records === undefined) {
        const isTls = beginsTls(bytes);
        if (isTls === undefined) return;
        if (!isTls) return mustBeTls ? refuse("on port 443 only TLS is passed on") : settle({ bytes });
        records = new ClientRecords(wrongIn);
        next = bytes;
      }
      const wrong = records.push(next);
      if (wrong !== undefined) return refuse(wrong);
      if (records.hasSaidHello) settle({ bytes, records });
    };
    const end = () => {
      const { bytes } = gathered;
      // What it said was no whole hello, and could have become one.
      if (bytes.length > 0) return refuse(UNCLEAR);
      return settle(mustBeTls ? undefined : { bytes });
    };
    const gone = () => settle(undefined);
    socket.on("data", take).on("end", end).on("close", gone);
    take(head);
  });
}

/** Passes on what follows a hello, as long as it may be. */
function watch(records: ClientRecords, onRefused: (reason: string) => void): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const wrong = records.push(chunk);
      if (wrong === undefined) return done(null, chunk);
      onRefused(wrong);
      done(new Error(wrong));
    },
  });
}

function otherName(serverName: string | undefined, host: string): string | undefined {
  // Names are for names: clients leave out addresses.
  if (serverName === host || (serverName === undefined && isIP(host) !== 0)) return undefined;
  return serverName === undefined ? "TLS asks for no name" : `TLS asks for ${cutChars(serverName, 100)}`;
}
