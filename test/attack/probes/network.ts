import { lookup } from "node:dns/promises";
import { readdirSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { networkInterfaces } from "node:os";
import type { Probe } from "./probe.ts";

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

/** Claude's own environment: the relay's ports are in it. */
function proxyPort(): number {
  return Number(new URL(process.env["HTTPS_PROXY"] ?? "http://127.0.0.1:9").port);
}

/** Whether the proxy carries a CONNECT; without a proxy it is whether the host is reached by itself. */
function carries(authority: string): Promise<boolean> {
  if (process.env["HTTPS_PROXY"] === undefined) {
    const { hostname: host, port } = new URL(`http://${authority}`);
    return connects({ host: host.replace(/^\[|\]$/g, ""), port: Number(port) });
  }
  return new Promise((resolve, reject) => {
    const call = request({ host: "127.0.0.1", port: proxyPort(), method: "CONNECT", path: authority });
    call.once("connect", (answer, socket) => {
      socket.destroy();
      resolve(answer.statusCode === 200);
    });
    call.once("response", (answer) => {
      answer.resume();
      resolve(false);
    });
    call.once("error", reject).end();
  });
}

/** Whether the model's gate lets a request through; what it refuses has status 404 or 400. */
function gated(method: string, path: string, headers: Record<string, string> = {}): Promise<boolean> {
  const base = new URL(process.env["ANTHROPIC_BASE_URL"] ?? "http://127.0.0.1:9");
  return new Promise((resolve, reject) => {
    const call = request({ host: base.hostname, port: base.port, method, path, headers });
    call.once("response", (answer) => {
      answer.resume();
      resolve(answer.statusCode !== 404 && answer.statusCode !== 400);
    });
    call.once("error", reject).end();
  });
}

const FORBIDDEN = [
  ["127.0.0.1:22", "no service of the host's own"],
  ["localhost:2375", "no engine"],
  ["[::1]:22", "no service of the host's own"],
  ["0.0.0.0:22", "no service of the host's own"],
  ["169.254.169.254:80", "no credentials of the machine's cloud"],
  ["metadata.google.internal:80", "no credentials of the machine's cloud"],
  ["172.17.0.1:22", "no gateway of the engine's"],
  ["10.0.0.1:443", "no private networks"],
  ["192.168.1.1:80", "no private networks"],
  ["example.com:443", "no host that nobody listed"],
  ["api.anthropic.com:443", "no way to the model round the gate"],
  ["2130706433:22", "no address in other clothes"],
  ["0x7f000001:22", "no address in other clothes"],
  ["127.1:22", "no address in other clothes"],
] as const;

const PATHS = [
  ["GET", "/v1/models"],
  ["POST", "/v1/files"],
  ["GET", "/v1/organizations/me"],
  ["POST", "/v1/messages/batches"],
  ["POST", "/v1/messages/../files"],
  ["POST", "/v1/messages%2f..%2ffiles"],
  ["POST", "//v1/messages"],
  ["DELETE", "/v1/messages"],
] as const;

/** Ways out. */
export const NETWORK_PROBES: readonly Probe[] = [
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
    name: "see devices of the network",
    proves: "no hardware of the host",
    attempt: () => readdirSync("/sys/class/net").some((name) => name !== "lo"),
  },
  ...FORBIDDEN.map(([authority, proves]) => ({
    name: `CONNECT ${authority}`,
    proves,
    attempt: () => carries(authority),
  })),
  ...PATHS.map(([method, path]) => ({
    name: `model ${method} ${path}`,
    proves: "the key opens nothing but messages",
    attempt: () => gated(method, path, { "x-api-key": "of an attacker" }),
  })),
];
