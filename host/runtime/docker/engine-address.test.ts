import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { type Surroundings, findEngineAddress, parseEndpoint } from "./engine-address.ts";

const CONTEXT_ID = createHash("sha256").update("work").digest("hex");

function find(env: Record<string, string>, files: Record<string, string> = {}, rest: Partial<Surroundings> = {}) {
  return findEngineAddress({
    env,
    homeDirectory: "/home/u",
    platform: "linux",
    readText: (path) => files[path],
    ...rest,
  });
}

function contextFiles(host: string, directory = "/home/u/.docker"): Record<string, string> {
  return {
    [`${directory}/contexts/meta/${CONTEXT_ID}/meta.json`]: JSON.stringify({
      Name: "work",
      Endpoints: { docker: { Host: host, SkipTLSVerify: false } },
    }),
  };
}

test("takes the default socket where nothing is set", () => {
  expect(find({})).toEqual({ kind: "socket", path: "/var/run/docker.sock" });
  expect(find({ DOCKER_HOST: "" })).toEqual({ kind: "socket", path: "/var/run/docker.sock" });
  expect(find({}, {}, { platform: "win32" })).toEqual({ kind: "socket", path: "//./pipe/docker_engine" });
});

test("takes DOCKER_HOST before any context", () => {
  const files = { ...contextFiles("unix:///context.sock"), "/home/u/.docker/config.json": '{"currentContext":"work"}' };
  const env = { DOCKER_HOST: "unix:///run/user/1000/docker.sock", DOCKER_CONTEXT: "work" };
  expect(find(env, files)).toEqual({ kind: "socket", path: "/run/user/1000/docker.sock" });
});

test("takes DOCKER_CONTEXT before the current context", () => {
  const files = { ...contextFiles("tcp://10.0.0.5:2375"), "/home/u/.docker/config.json": '{"currentContext":"other"}' };
  expect(find({ DOCKER_CONTEXT: "work" }, files)).toMatchObject({ kind: "tcp", host: "10.0.0.5", port: 2375 });
});

test("takes the current context's endpoint, also from another configuration directory", () => {
  const config = '{"currentContext":"work"}';
  const files = { ...contextFiles("unix:///desktop.sock"), "/home/u/.docker/config.json": config };
  expect(find({}, files)).toEqual({ kind: "socket", path: "/desktop.sock" });
  const moved = { ...contextFiles("unix:///moved.sock", "/cfg"), "/cfg/config.json": config };
  expect(find({ DOCKER_CONFIG: "/cfg" }, moved)).toEqual({ kind: "socket", path: "/moved.sock" });
});

test("goes on with the default where the context is the default, or the configuration cannot be read", () => {
  for (const config of ['{"currentContext":"default"}', "{}", "not json"]) {
    expect(find({}, { "/home/u/.docker/config.json": config })).toMatchObject({ path: "/var/run/docker.sock" });
  }
});

test("refuses a context that is not there", () => {
  expect(() => find({ DOCKER_CONTEXT: "work" })).toThrow(/context "work" has no endpoint/);
});

test("refuses ssh with advice", () => {
  const refusal = expect.objectContaining({ reason: "RUNTIME_UNAVAILABLE", help: expect.stringContaining("ssh -NL") });
  expect(() => find({ DOCKER_HOST: "ssh://me@host" })).toThrow(refusal);
  expect(() => find({ DOCKER_CONTEXT: "work" }, contextFiles("ssh://me@host"))).toThrow(refusal);
});

test("reads the certificates of an engine that wants them, and never goes without", () => {
  const tls = { "/certs/ca.pem": "CA", "/certs/cert.pem": "CERT", "/certs/key.pem": "KEY" };
  const env = { DOCKER_HOST: "tcp://engine:2376", DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: "/certs" };
  const expected = { ca: "CA", cert: "CERT", key: "KEY" };
  expect(find(env, tls)).toEqual({ kind: "tcp", host: "engine", port: 2376, tls: expected });
  expect(() => find(env)).toThrow(/lacks ca\.pem/);
  expect(() => find({ DOCKER_HOST: "https://engine" })).toThrow(/no client certificates/);
});

test.each([
  ["tcp://127.0.0.1:2375", { host: "127.0.0.1", port: 2375 }],
  ["tcp://[::1]:2375", { host: "::1", port: 2375 }],
  ["http://engine", { host: "engine", port: 2375 }],
  ["engine:99", { host: "engine", port: 99 }],
  ["npipe:////./pipe/docker", { path: "//./pipe/docker" }],
])("reads %s", (endpoint, expected) => {
  expect(parseEndpoint(endpoint, "DOCKER_HOST", undefined)).toMatchObject(expected);
});

test.each([
  ["/var/run/docker.sock", "path without a scheme", "Write it as unix:///var/run/docker.sock."],
  ["~/docker.sock", "path without a scheme", "Write it as unix:// and the path from the root on."],
  [`unix:///${"x".repeat(107)}`, "too long for a socket", "Use a shorter one, or a link to it."],
])("refuses the path %s, and says what it lacks", (endpoint, what, help) => {
  expect(() => parseEndpoint(endpoint, "DOCKER_HOST", undefined)).toThrow(
    expect.objectContaining({ message: expect.stringContaining(what), help }),
  );
});

test.each(["unix://", "unix://docker.sock", "tcp://", "fd://", "tcp://a b"])(
  "refuses %s, and says how to write it",
  (endpoint) => {
    expect(() => parseEndpoint(endpoint, "DOCKER_HOST", undefined)).toThrow(
      expect.objectContaining({ reason: "RUNTIME_UNAVAILABLE", help: expect.stringContaining("unix:///path") }),
    );
  },
);
