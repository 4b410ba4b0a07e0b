import { existsSync } from "node:fs";
import { isIP } from "node:net";
import { dirname } from "node:path";
import { AppError } from "../proto/index.ts";

/** Why nothing could be listened on, by the system's code: the end of a sentence, and what to do. */
const LISTEN_PROBLEMS: Readonly<Record<string, [why: string, help: string]>> = {
  EADDRINUSE: ["something is there already", "Take another one, or end what listens there."],
  EADDRNOTAVAIL: ["this machine does not have that address", "Take one that it has, such as 127.0.0.1."],
  ENOTFOUND: ["there is no such name", "Take an address that this machine has, such as 127.0.0.1."],
  EAI_AGAIN: ["the name is not resolved", "Take an address that this machine has, such as 127.0.0.1."],
  EACCES: ["this user may not", "Take a port from 1024 on, or a directory that this user can write."],
  EPERM: ["this user may not", "Take a port from 1024 on, or a directory that this user can write."],
  ENOENT: ["its directory is missing", "Make the directory."],
  ENOTDIR: ["something on the way is not a directory", "Take another path."],
  EROFS: ["its file system is read-only", "Take another path."],
  EINVAL: ["no socket can have that path; it may be too long", "Take a path of at most 103 bytes."],
};

/** Returns LISTEN_FAILED for an address, or a socket's path, that could not be listened on. It says why, and what to do. */
export function listenError(address: string, cause: NodeJS.ErrnoException): AppError {
  // libuv says EACCES of a socket whose directory is missing.
  const missing = address.includes("/") && !existsSync(dirname(address));
  const [why, help] = LISTEN_PROBLEMS[missing ? "ENOENT" : (cause.code ?? "")] ?? [
    cause.message,
    "Take another address.",
  ];
  return new AppError("LISTEN_FAILED", `Cannot listen on ${address}: ${why}.`, {
    help,
    metadata: { address },
    cause,
  });
}

/** Parses "host:port". An IPv6 host may be in brackets. Throws ADDRESS_INVALID. */
export function parseAddress(address: string): { hostname: string; port: number } {
  const match = /^(.+):(\d{1,5})$/.exec(address);
  const port = Number(match?.[2]);
  if (match !== null && port <= 65535) return { hostname: match[1]!.replace(/^\[|\]$/g, ""), port };
  throw new AppError("ADDRESS_INVALID", `"${address}" is not an address to listen on.`, {
    help: "Use host:port, such as 127.0.0.1:8811.",
  });
}

/**
 * Returns whether a hostname is a loopback address, which only programs on this machine can reach. A socket of both versions of IP
 * writes the older one's in the newer's way.
 */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "::1" || /^(?:::ffff:)?127\.\d+\.\d+\.\d+$/.test(hostname);
}

/**
 * Returns whether a server is asked for as localhost, by an address, or by a name that it has, as the request's authority says. Whoever
 * has a page in a browser here can give a name of theirs this machine's address, but no address another.
 */
export function isAddressed(authority: string, names: readonly string[] = []): boolean {
  const name = URL.parse(`http://${authority}`)?.hostname.replace(/^\[|\]$/g, "") ?? "";
  return isIP(name) !== 0 || name === "localhost" || names.includes(name);
}
