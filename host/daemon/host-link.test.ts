import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { pino } from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type BundledHost, bundleHost } from "../../test/support/bundle-host.ts";
import { makeHostDirectories, type TestDirectories } from "../../test/support/host-directories.ts";
import { MemorySessions } from "../../test/contract/memory-sessions.ts";
import { AppError } from "../../proto/index.ts";
import { ControlServer } from "../control/control-server.ts";
import { PROTOCOL_VERSION } from "../control/protocol-version.ts";
import { HostLink, type HostLinkOptions } from "./host-link.ts";
import { makeRuntimeDirectory, socketPath } from "./runtime-directory.ts";
import { hostLogPath } from "./start-host.ts";
import { readStartReport } from "./start-report.ts";
import { NO_UPLOADS } from "../../test/support/no-snapshots.ts";
import { QUIET_HOST } from "../../test/support/quiet-host.ts";

const VERSION = "1.2.0";
const OLDER = "1.2.0-rc.1";
let host: BundledHost;
let older: BundledHost;
beforeAll(async () => {
  host = await bundleHost({ version: VERSION });
  older = await bundleHost({ version: OLDER });
});
afterAll(async () => {
  await host[Symbol.asyncDispose]();
  await older[Symbol.asyncDispose]();
});

function linkTo(
  { directories, env }: TestDirectories,
  { more = {}, ...options }: Partial<HostLinkOptions> & { more?: Record<string, string> } = {},
): HostLink {
  const complete = { ...env, CLAUDECLUSTER_LOG_LEVEL: "info", ...more };
  return new HostLink({ directories, env: complete, command: host.command, version: VERSION, ...options });
}

test("ten fronts that start at once get one host, private to this user", async () => {
  await using place = await makeHostDirectories();
  const links = Array.from({ length: 10 }, () => linkTo(place));
  try {
    const infos = await Promise.all(links.map((link) => link.connect()));
    expect(new Set(infos.map(({ instanceId }) => instanceId)).size).toBe(1);
    expect((await links[0]!.sessions.list({})).sessions).toEqual([]);
    const socket = await stat(socketPath(place.directories.runtimeDirectory));
    expect(socket.mode & 0o777).toBe(0o600);
    expect((await stat(place.directories.runtimeDirectory)).mode & 0o777).toBe(0o700);
    const log = await readFile(hostLogPath(place.directories.stateDirectory), "utf8");
    expect(log.match(/host started/g)).toHaveLength(1);
  } finally {
    for (const link of links) link[Symbol.dispose]();
  }
});

test("a killed host is replaced, its socket too, and calls go on; a living one's is left alone", async () => {
  await using place = await makeHostDirectories();
  using link = linkTo(place);
  const first = await link.connect();
  process.kill(first.processId, "SIGKILL");
  expect((await link.sessions.list({})).sessions).toEqual([]);
  const second = await link.connect();
  expect(second.instanceId).not.toBe(first.instanceId);
  using another = linkTo(place);
  expect((await another.connect()).instanceId).toBe(second.instanceId);
});

test("a host that is told to end does so in order, and the next call finds another", async () => {
  await using place = await makeHostDirectories();
  using link = linkTo(place);
  const first = await link.connect();
  process.kill(first.processId, "SIGTERM");
  await link.gone();
  expect(await link.find()).toBeUndefined();
  await link.sessions.list({});
  expect((await link.connect()).instanceId).not.toBe(first.instanceId);
  await link.stopHost({ onlyWithoutLiveSessions: true });
  await link.gone();
});

test("a host ends by itself when nobody is connected for a while, and not before", async () => {
  await using place = await makeHostDirectories();
  const link = linkTo(place, { more: { CLAUDECLUSTER_IDLE_TIMEOUT: "0.2" } });
  const first = await link.connect();
  const log = () => readFile(hostLogPath(place.directories.stateDirectory), "utf8");
  // Five times its idle time, connected.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  expect((await link.find())?.instanceId).toBe(first.instanceId);
  link[Symbol.dispose]();
  using other = linkTo(place);
  await other.gone();
  expect(await log()).toContain('"reason":"idle"');
});

test("a host has of the front's environment what says where things are, and nothing that was meant for the front", async () => {
  await using place = await makeHostDirectories();
  const kept = {
    DOCKER_HOST: "unix:///x",
    XDG_DATA_HOME: "/data",
    LC_ALL: "C.UTF-8",
    TMPDIR: process.env["TMPDIR"] ?? "/tmp",
    HTTPS_PROXY: "http://proxy.test:1",
    no_proxy: "own.test",
    NODE_EXTRA_CA_CERTS: "/dev/null",
    SSL_CERT_FILE: "/dev/null",
    SSH_AUTH_SOCK: "/agent",
  };
  const more = {
    ...kept,
    ANTHROPIC_API_KEY: "sk-front",
    CLAUDE_CODE_OAUTH_TOKEN: "o",
    CLAUDECODE: "1",
    NODE_OPTIONS: "--no-warnings",
    NODE_TLS_REJECT_UNAUTHORIZED: "0",
    NODE_PATH: "/modules",
    LD_PRELOAD: "",
    GH_TOKEN: "t",
    npm_config_registry: "http://registry.test",
  };
  using link = linkTo(place, { more });
  const info = await link.connect();
  expect(info.credentialKind).toBe("");
  const entries = (await readFile(`/proc/${info.processId}/environ`, "utf8")).split("\0").filter((each) => each !== "");
  const environment = Object.fromEntries(entries.map((entry) => entry.split(/=(.*)/s, 2)));
  expect(environment).toMatchObject(kept);
  const others = Object.keys(environment).filter((name) => !(name in kept) && !name.startsWith("CLAUDECLUSTER_"));
  expect(others.toSorted()).toEqual(["HOME", "PATH"]);
});

test("a host has the credential of its configuration, and says only its kind", async () => {
  await using place = await makeHostDirectories();
  await place.configure({ credential: { auth_token: "secret-of-the-file" } });
  using link = linkTo(place);
  expect((await link.connect()).credentialKind).toBe("auth-token");
  expect(await readFile(hostLogPath(place.directories.stateDirectory), "utf8")).not.toContain("secret-of-the-file");
});

test("a host whose configuration was broken meanwhile can be used, and says what is wrong", async () => {
  await using place = await makeHostDirectories();
  await place.configure({ credential: { api_key: "k" } });
  using first = linkTo(place);
  expect(await first.connect()).toMatchObject({ credentialKind: "api-key", credentialProblem: "" });
  await place.configure({ credential: { api_key: "k" }, no_such_entry: true });
  using link = linkTo(place);
  const info = await link.connect();
  expect(info).toMatchObject({
    credentialKind: "",
    credentialProblem: expect.stringContaining("no_such_entry"),
  });
  expect((await link.sessions.list({})).sessions).toEqual([]);
});

test("a host whose directories are gone when it starts is none, and makes them not again", async () => {
  await using place = await makeHostDirectories();
  const [program, ...args] = host.command;
  const child = spawn(program!, [...args, "serve", "--on-demand"], {
    env: place.env,
    stdio: ["ignore", "ignore", "pipe", "pipe"],
  });
  const report = readStartReport(child.stdio[3] as Readable, { logPath: "" });
  await expect(report).rejects.toMatchObject({ reason: "DIRECTORIES_GONE" });
  await once(child, "close");
  for (const path of [place.directories.runtimeDirectory, place.directories.stateDirectory]) {
    await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });
  }
});

test.each(["socket", "state"])("a host whose %s is removed ends, and the next call finds another", async (what) => {
  await using place = await makeHostDirectories();
  const { runtimeDirectory, stateDirectory } = place.directories;
  using link = linkTo(place);
  const { instanceId, processId } = await link.connect();
  await rm(what === "socket" ? socketPath(runtimeDirectory) : stateDirectory, { recursive: true });
  await expect.poll(() => isRunning(processId), { timeout: 20_000 }).toBe(false);
  expect((await link.connect()).instanceId).not.toBe(instanceId);
});

function isRunning(processId: number): boolean {
  try {
    return process.kill(processId, 0);
  } catch {
    return false;
  }
}

test("a host that cannot start says why to the front", async () => {
  await using place = await makeHostDirectories();
  await place.configure({ credential: { api_key: "k" }, no_such_entry: true });
  using link = linkTo(place);
  await expect(link.connect()).rejects.toMatchObject({ reason: "CONFIG_INVALID", kind: "FAILED_PRECONDITION" });
  await expect(link.sessions.list({})).rejects.toMatchObject({ reason: "CONFIG_INVALID" });
  using broken = linkTo(place, { command: [process.execPath, "-e", "process.exit(1)", "--"] });
  await expect(broken.connect()).rejects.toMatchObject({ reason: "HOST_START_FAILED" });
});

test("a newer front replaces a host that has nothing to do; an older one works with it as it is", async () => {
  await using place = await makeHostDirectories();
  using first = linkTo(place, { command: older.command, version: OLDER });
  expect((await first.connect()).hostVersion).toBe(OLDER);
  using second = linkTo(place);
  const info = await second.connect();
  expect(info.hostVersion).toBe(VERSION);
  expect((await first.sessions.list({})).sessions).toEqual([]);
  expect((await first.connect()).instanceId).toBe(info.instanceId);
});

/** A host of any version, as far as fronts can tell, with one live session. */
async function playHost(place: TestDirectories, { protocolVersion = PROTOCOL_VERSION, stateDirectory = "" }) {
  await using stack = new AsyncDisposableStack();
  const { runtimeDirectory } = place.directories;
  makeRuntimeDirectory(runtimeDirectory);
  const sessions = stack.use(new MemorySessions());
  const info = {
    hostVersion: "1.1.0",
    protocolVersion,
    stateDirectory: stateDirectory || place.directories.stateDirectory,
  };
  const stop = () => Promise.reject(new AppError("HOST_BUSY", "It is."));
  const logger = pino({ level: "silent" });
  const server = stack.use(
    new ControlServer({ sessions, uploads: NO_UPLOADS, host: { ...QUIET_HOST, info: async () => info, stop }, logger }),
  );
  await server.listenUnix(socketPath(runtimeDirectory));
  const owned = stack.move();
  return { [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

test("an older host with live sessions is used if it speaks the same protocol, and never ended", async () => {
  await using place = await makeHostDirectories();
  {
    await using _host = await playHost(place, {});
    using link = linkTo(place);
    expect((await link.connect()).hostVersion).toBe("1.1.0");
  }
  {
    await using _host = await playHost(place, { protocolVersion: PROTOCOL_VERSION - 1 });
    using link = linkTo(place);
    await expect(link.connect()).rejects.toMatchObject({
      reason: "HOST_INCOMPATIBLE",
      help: expect.stringContaining("live sessions"),
    });
  }
});

test("a front with another runtime directory finds the host of its state directory", async () => {
  await using place = await makeHostDirectories();
  using first = linkTo(place);
  const { instanceId } = await first.connect();
  const directories = { ...place.directories, runtimeDirectory: join(place.directories.runtimeDirectory, "other") };
  using second = linkTo({ ...place, directories });
  expect((await second.connect()).instanceId).toBe(instanceId);
  expect((await second.sessions.list({})).sessions).toEqual([]);
});

test("a host that keeps its sessions elsewhere is not taken for ours", async () => {
  await using place = await makeHostDirectories();
  await using _host = await playHost(place, { stateDirectory: "/elsewhere" });
  using link = linkTo(place);
  await expect(link.connect()).rejects.toMatchObject({ reason: "HOST_STATE_DIFFERS" });
});

test("a host that hangs is an error with advice, and no second one is started", async () => {
  await using place = await makeHostDirectories();
  using link = linkTo(place);
  const { processId } = await link.connect();
  process.kill(processId, "SIGSTOP");
  try {
    using another = linkTo(place, { timeoutMs: 300 });
    const unresponsive = { reason: "HOST_UNRESPONSIVE", help: expect.stringContaining(`kill ${processId}`) };
    await expect(another.find()).rejects.toMatchObject(unresponsive);
    await expect(another.connect()).rejects.toMatchObject({ ...unresponsive, retryable: true });
  } finally {
    process.kill(processId, "SIGCONT");
  }
});
