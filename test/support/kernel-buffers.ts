import { readFileSync } from "node:fs";

/** Most bytes that Linux holds of one TCP connection, on both sides together, for a reader that does not read (tcp(7)). */
export function kernelBufferBytes(): number {
  const most = (name: string) => Number(readFileSync(`/proc/sys/net/ipv4/${name}`, "utf8").trim().split(/\s+/)[2]);
  return most("tcp_wmem") + most("tcp_rmem");
}
