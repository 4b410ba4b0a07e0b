import { execFileSync } from "node:child_process";
import { lookup } from "node:dns/promises";
import { readdirSync, readFileSync } from "node:fs";
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { networkInterfaces } from "node:os";
import type { Probe } from "./probe.ts";
import type { Targets } from "./targets.ts";

const CONNECT_MS = 2_000;

function connects(target: { host: string; port: number } | { path: string }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(target);
    const end = (open: boolean) => {
      socket.destroy();
      resolve(open);
    };
    socket.setTimeout(CONNECT_MS, () => end(false));
    socket.once("connect", () => end(true)).once("error", () => end(false));
  });
}

function sends(host: string, port: number): Promise<boolean> {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  return new Promise<boolean>((resolve) => {
    socket.once("error", () => resolve(false));
    socket.send("x", port, host, (error) => resolve(error === null));
  }).finally(() => socket.close());
}

function listens(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen({ host: "127.0.0.1", port, reusePort: true }, () => resolve(true));
  }).finally(() => server.close());
}

/** Ways out. */
export const networkProbes = ({ host, sibling, abstractSocket }: Targets): Probe[] => [
  {
    name: "have an interface",
    proves: "there is no network",
    attempt: () => Object.keys(networkInterfaces()).some((name) => name !== "lo"),
  },
  {
    name: "have a route",
    proves: "there is no network",
    attempt: () => readFileSync("/proc/net/route", "utf8").trim().split("\n").length > 1,
  },
  {
    name: "resolve a name",
    proves: "nothing leaves by DNS",
    attempt: async () => (await lookup("deb.debian.org")).address !== "",
  },
  {
    name: "reach the metadata address",
    proves: "no credentials of the machine's cloud",
    attempt: () => connects({ host: "169.254.169.254", port: 80 }),
  },
  {
    name: "reach the agent's socket",
    proves: "nobody drives the agent from inside",
    attempt: () => connects({ path: "/run/agent/agent.sock" }),
  },
  {
    name: "find a foreign abstract socket",
    proves: "no sockets of the host",
    attempt: () => / @\/?(containerd|docker|tmp\/dbus|tmp\/\.X11)/.test(readFileSync("/proc/net/unix", "utf8")),
  },
  {
    name: "reach an abstract socket of the host",
    proves: "no sockets of the host",
    attempt: () => connects({ path: `\0${abstractSocket}` }),
  },
  {
    name: "reach the host by its gateway",
    proves: "no services of the host's own",
    attempt: () => connects({ host: host.address, port: host.port }),
  },
  {
    name: "reach the host's loopback",
    proves: "no services of the host's own",
    attempt: () => connects({ host: "127.0.0.1", port: host.port }),
  },
  {
    name: "reach another container",
    proves: "sessions do not see each other",
    attempt: () => connects({ host: sibling.address, port: sibling.port }),
  },
  {
    name: "send to a name server",
    proves: "nothing leaves by DNS",
    attempt: () => sends("9.9.9.9", 53),
  },
  {
    name: "send to the local network",
    proves: "no neighbours are called",
    attempt: () => sends("224.0.0.251", 5353),
  },
  {
    name: "send to the local network by IPv6",
    proves: "no neighbours are called",
    attempt: () => sends("ff02::1%eth0", 5353),
  },
  {
    name: "take the model gate's place",
    proves: "nobody stands between Claude and the gate",
    attempt: () => "HTTPS_PROXY" in process.env && listens(Number(new URL(process.env["ANTHROPIC_BASE_URL"]!).port)),
  },
  {
    name: "take the proxy's place",
    proves: "nobody stands between Claude and the gate",
    attempt: () => "HTTPS_PROXY" in process.env && listens(Number(new URL(process.env["HTTPS_PROXY"]!).port)),
  },
  {
    name: "find somebody's socket",
    proves: "no way to another's service by a file",
    attempt: () => {
      const places = "/ /run /tmp /dev/shm /base /workspace";
      const find = `find ${places} -xdev -type s ! -user $(id -u) 2>/dev/null; true`;
      return execFileSync("sh", ["-c", find], { encoding: "utf8" }) !== "";
    },
  },
  {
    name: "see devices of the network",
    proves: "no hardware of the host",
    attempt: () => readdirSync("/sys/class/net").some((name) => name !== "lo"),
  },
];
