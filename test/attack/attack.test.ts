import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeCertificate } from "../support/certificate.ts";
import { docker } from "../support/docker.ts";
import { startPackageIndex } from "../support/package-index.ts";
import { startHostRig } from "../support/rig.ts";
import { startSealedSession } from "../support/sealed-session.ts";
import { MARK } from "./probes/gates.ts";
import type { Findings } from "./probes/probe.ts";
import type { Targets } from "./probes/targets.ts";
import { eachEvent } from "../support/each-event.ts";

const IMAGE = process.env["CLAUDECLUSTER_IMAGE"] ?? "claudecluster/agent:latest";
/** What shows that the gates let through what they should. */
const ALLOWED = ["ask the model as Claude does", "talk TLS to a listed host"];
/** What works in a sealed container as well, and only informs. */
const INFORMATIONAL = [
  "call landlock_create_ruleset",
  "call memfd_create",
  "call socket netlink route",
  "choose the audit's login id",
  "read how much memory the machine has",
  "read the kernel's command line",
  "read the kernel's configuration",
  "read where the engine keeps its files",
  "see the agent",
];
/** The key that is put into containers that are not sealed. */
const SECRET = `sk-ant-test-${randomBytes(24).toString("hex")}`;
const ABSTRACT_SOCKET = `claudecluster-attack-${process.pid}`;
const SIBLING_PORT = 8000;
const GATEWAY = "{{.NetworkSettings.Networks.bridge.Gateway}}";
const ADDRESS = "{{.NetworkSettings.Networks.bridge.IPAddress}}";

const stack = new AsyncDisposableStack();
let script: string;
let targets: Omit<Targets, "secret">;
let sibling: string;

beforeAll(async () => {
  const entry = fileURLToPath(new URL("./probes/main.ts", import.meta.url));
  const options = { bundle: true, platform: "node", format: "esm", write: false } as const;
  const { outputFiles } = await build({ entryPoints: [entry], ...options });
  script = outputFiles[0]!.text;

  const port = await serve({ host: "0.0.0.0", port: 0 });
  await serve({ path: `\0${ABSTRACT_SOCKET}` });
  const { authority } = stack.use(await startPackageIndex(await makeCertificate()));
  sibling = await startBridged(`require("http").createServer((_, answer) => answer.end()).listen(${SIBLING_PORT})`);
  targets = {
    host: { address: await docker("inspect", "--format", GATEWAY, sibling), port },
    abstractSocket: ABSTRACT_SOCKET,
    sibling: { address: await docker("inspect", "--format", ADDRESS, sibling), port: SIBLING_PORT },
    tls: authority,
  };
});
afterAll(() => stack.disposeAsync());

async function serve(place: { host: string; port: number } | { path: string }): Promise<number> {
  const server = createServer((socket) => socket.on("error", () => {}).end("hello\r\n"));
  server.listen(place);
  await once(server, "listening");
  stack.defer(() => void server.close());
  return "port" in place ? (server.address() as AddressInfo).port : 0;
}

/** A container as one would start it without thinking: with a network, the key, and one user for everything. */
async function startBridged(program: string): Promise<string> {
  const options = ["--network", "bridge", "--user", "20999:20999", "--env", `ANTHROPIC_API_KEY=${SECRET}`];
  const container = await docker("run", "--detach", "--rm", ...options, "--entrypoint", "node", IMAGE, "-e", program);
  stack.defer(async () => void (await docker("rm", "--force", container)));
  return container;
}

/** Runs the probes in a container as a user, with an environment. */
async function attack(
  container: string,
  { user, environment, secret }: { user: string; environment: Record<string, string>; secret: string },
): Promise<Findings> {
  const settings = Object.entries(environment).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
  const given: Targets = { ...targets, secret: [secret.slice(0, 10), secret.slice(10)] };
  const program = ["node", "--input-type=module", "-", JSON.stringify(given)];
  const args = ["exec", "--interactive", "--user", user, "--workdir", "/tmp", ...settings, container, ...program];
  const child = spawn("docker", args);
  child.stdin.end(script);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  expect(stdout, stderr).toMatch(/^\{/);
  return JSON.parse(stdout) as Findings;
}

/** Takes every inotify instance that the kernel gives a user, across all containers; they go with the returned process. */
async function takeInotify(container: string, user: string) {
  const program = "$| = 1; 1 while syscall(294, 0) >= 0; print 1; <STDIN>";
  const child = spawn("docker", ["exec", "--interactive", "--user", user, container, "perl", "-e", program]);
  await once(child.stdout, "data");
  return {
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await once(child, "close");
    },
  };
}

const hasInotify = async (container: string, user: string) =>
  (await docker("exec", "--user", user, container, "perl", "-e", "print syscall(294, 0)")) !== "-1";

test("nothing that somebody tries in a sealed container works", async ({ task }) => {
  const config = { egress_allow: [`localhost:${targets.host.port}`], egress_private: [targets.tls] };
  await using rig = await startHostRig({ config });
  const { id, container, user, environment } = await startSealedSession(rig, {
    task: "[scenario: long-run seconds=120 steps=60]",
    until: "toolUseFinished",
  });
  expect(environment).toMatchObject({ ANTHROPIC_API_KEY: "placeholder", HTTPS_PROXY: expect.any(String) });
  const { open, blocked } = await attack(container, { user, environment, secret: rig.key });
  expect(open.filter((name) => !INFORMATIONAL.includes(name)).sort()).toEqual(ALLOWED);
  expect(blocked.length).toBeGreaterThan(380);
  expect(JSON.stringify(rig.model.requests)).not.toContain(MARK);
  const asked = new Set(rig.model.requests.map(({ method, path }) => `${method} ${path}`));
  expect([...asked].filter((line) => !/^POST \/v1\/messages(\/count_tokens)?(\?beta=true)?$/.test(line))).toEqual([]);
  expect(rig.model.requests.every(({ headers }) => headers["x-api-key"] === rig.key)).toBe(true);
  {
    await using _taken = await takeInotify(container, user);
    expect(await hasInotify(sibling, user), "the same user elsewhere").toBe(false);
    expect(await hasInotify(sibling, "20999"), "another user").toBe(true);
  }

  // The agent has outlived it all, and the session goes on.
  await rig.sessions.stop(id, { reason: "The attack is over." });
  const refused: string[] = [];
  for await (const { event } of eachEvent(
    rig.sessions.watch(id, { afterSequence: 0, signal: AbortSignal.timeout(60_000) }),
  )) {
    if (event.case === "egressDecided" && !event.value.allowed) refused.push(event.value.reason);
    if (event.case === "sessionFinished") break;
  }
  expect((await rig.sessions.get(id)).result?.outcome.case).toBe("cancellation");
  for (const reason of [
    `TLS asks for ${MARK}.example`,
    "TLS may hide the name that it asks for (encrypted client hello)",
    "TLS says hello in a way that is not understood",
    "on port 443 only TLS is passed on",
    "it resolves to 127.0.0.1, which is no public address",
  ]) {
    expect(refused).toContain(reason);
  }
  task.meta.figure = `attacks on a sealed container: ${blocked.length} of ${blocked.length + open.length} blocked, the others by name`;
});

test("the same succeeds many times where a container is not sealed", async ({ task }) => {
  const container = await startBridged("setInterval(() => {}, 1000)");
  const { open, blocked } = await attack(container, { user: "20999", environment: {}, secret: SECRET });
  expect(open.length, open.join(", ")).toBeGreaterThan(60);
  expect(open).toEqual(
    expect.arrayContaining([
      "find the key in an environment",
      "read the agent's memory",
      "signal the agent",
      "have an interface",
      "reach another container",
      "send to a name server",
      "call ptrace",
      "start six hundred processes",
      "fill the disk",
    ]),
  );
  task.meta.figure = `the same with --network bridge and one user: ${open.length} of ${blocked.length + open.length} work`;
});
