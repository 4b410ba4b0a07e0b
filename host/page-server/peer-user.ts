import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { isLoopback } from "../address.ts";

/** The kernel's tables of connections, each with the user whose socket it is. */
const TABLES = ["/proc/net/tcp", "/proc/net/tcp6"];
/** Columns of their rows. */
const [LOCAL, REMOTE, STATE, USER] = [1, 2, 3, 7];
/** State of a connection whose two ends are there. One that was closed has no user any more, which is written as root. */
const ESTABLISHED = "01";

/**
 * Returns whether a connection may be one of this user's programs, or root's. On Linux others of this machine see the code in
 * the command line that opens the browser: there it counts only from a socket of this user's. From another machine, and on
 * other systems, nothing is known.
 */
export async function mayBeOurs(socket: Socket): Promise<boolean> {
  const { remoteAddress = "", localAddress, remotePort, localPort } = socket;
  // This machine's own addresses lead here as loopback does.
  const isHere = isLoopback(remoteAddress) || remoteAddress === localAddress;
  if (process.platform !== "linux" || !isHere) return true;
  const tables = await Promise.all(TABLES.map((path) => readFile(path, "utf8").catch(() => "")));
  const users = usersOf(tables.join("\n"), { from: remotePort ?? 0, to: localPort ?? 0 });
  return users.length > 0 && users.every((user) => user === 0 || user === process.getuid?.());
}

/** Returns whose sockets are connected from this port of the machine to that one, as the kernel's tables have it. */
export function usersOf(table: string, ports: { from: number; to: number }): number[] {
  const rows = table.split("\n").map((line) => line.trim().split(/\s+/));
  const portOf = (address = "") => Number.parseInt(address.slice(address.lastIndexOf(":") + 1), 16);
  return rows
    .filter((row) => portOf(row[LOCAL]) === ports.from && portOf(row[REMOTE]) === ports.to)
    .filter((row) => row[STATE] === ESTABLISHED)
    .map((row) => Number(row[USER]));
}
