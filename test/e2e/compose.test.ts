import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { expect, test, vi } from "vitest";
import { runGit } from "../git/work-area.ts";
import { SMALL_REPOSITORY } from "../model/small-repository.ts";
import { startScriptedModel } from "../model/scripted-model.ts";
import { claudecluster } from "../support/claudecluster.ts";
import { docker, dockerGateway } from "../support/docker.ts";
import { startGitServer } from "../support/git-server.ts";
import { makeHostDirectories } from "../support/host-directories.ts";
import { DATA } from "../../host/mcp/tool-result.ts";

const execFileAsync = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** A project of the compose file, whose sessions ask a scripted model. */
interface Project extends AsyncDisposable {
  /** Runs compose and resolves with its output. */
  compose(...args: string[]): Promise<string>;
  /** Runs a command in the host's container and resolves with its output. */
  host(...args: string[]): Promise<string>;
  /** Ids of the project's containers, those of sessions too; also of those that do not run. */
  containers(...filters: string[]): Promise<string[]>;
  /** Resolves with the address of MCP once somebody answers there. */
  url(): Promise<URL>;
  /** Resolves with the port of this machine at which one of the host's is reached. */
  port(of: number): Promise<string>;
  repository: string;
  secrets: string[];
}

/** Counts of containers are those of sessions, unless one is to be kept prepared. */
async function openProject({ warm = 0 } = {}): Promise<Project> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "claudecluster-compose-"));
  stack.defer(() => rm(directory, { recursive: true }));
  const project = `claudecluster-test-${randomBytes(4).toString("hex")}`;
  const key = randomBytes(32).toString("hex");
  const gateway = await dockerGateway();
  const model = stack.use(await startScriptedModel({ key, host: gateway }));
  const git = stack.use(await startGitServer({ host: gateway }));
  const repository = await git.addRepository("greeter", SMALL_REPOSITORY);
  await writeFile(join(directory, "key"), key, { mode: 0o600 });
  const env = {
    PATH: process.env["PATH"],
    HOME: process.env["HOME"],
    CLAUDECLUSTER_KEY_FILE: join(directory, "key"),
    CLAUDECLUSTER_PORT: "0",
    CLAUDECLUSTER_CONTROL_PORT: "0",
    CLAUDECLUSTER_WARM: String(warm),
    ANTHROPIC_BASE_URL: model.url,
    ...(process.env["CLAUDECLUSTER_IMAGE"] && { CLAUDECLUSTER_IMAGE: process.env["CLAUDECLUSTER_IMAGE"] }),
  };
  const [command, ...plugin] = await composeCommand();
  const file = ["-p", project, "-f", join(ROOT, "docker-compose.prototype.yml")];
  const compose = async (...args: string[]) =>
    (await execFileAsync(command, [...plugin, ...file, ...args], { env, cwd: ROOT })).stdout.trim();
  const port = async (of: number) => (await compose("port", "host", String(of))).split(":").at(-1)!;
  await docker("image", "inspect", "claudecluster/host:latest");
  stack.defer(async () => void (await compose("down", "--volumes", "--remove-orphans")));
  await compose("up", "-d");
  const owned = stack.move();
  return {
    compose,
    host: (...args) => compose("exec", "-T", "host", "claudecluster", ...args),
    async containers(...filters) {
      const label = `label=com.docker.compose.project=${project}`;
      const all = [label, ...filters].flatMap((filter) => ["--filter", filter]);
      return (await docker("ps", "--all", "--quiet", "--no-trunc", ...all)).split("\n").filter((id) => id !== "");
    },
    async url() {
      // It is another one after a restart.
      const find = async () => {
        const url = new URL(`http://127.0.0.1:${await port(8811)}/mcp`);
        expect((await fetch(url)).status).toBe(401);
        return url;
      };
      return await vi.waitFor(find, { timeout: 30_000, interval: 200 });
    },
    port,
    repository,
    secrets: [key],
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function connect(url: URL, token: string): Promise<Client> {
  const client = new Client({ name: "test", version: "1.0.0" });
  const requestInit = { headers: { authorization: `Bearer ${token}` } };
  await client.connect(new StreamableHTTPClientTransport(url, { requestInit }));
  return client;
}

test("the compose file starts a host that serves MCP over HTTP to callers with a token each, and to no others", async () => {
  await using project = await openProject({ warm: 1 });
  const { compose, host, repository } = project;
  const url = await project.url();
  const [alice, bob] = [await host("token", "add", "alice"), await host("token", "add", "bob")];
  const post = (headers: Record<string, string>) =>
    fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...headers },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} }),
    });
  const as = (token: string) => ({ authorization: `Bearer ${token}` });
  expect((await post({})).status).toBe(401);
  expect((await post(as("wrong"))).status).toBe(401);
  expect((await post({ ...as(alice), origin: "http://evil.test" })).status).toBe(403);
  expect((await post(as(alice))).status).toBe(200);
  expect((await post(as(bob))).status).toBe(200);
  await host("token", "remove", "bob");
  expect((await post(as(bob))).status).toBe(401);

  const client = await connect(url, alice);
  let progressCount = 0;
  const result = await client.callTool(
    { name: "spawn_claude_container", arguments: { task: "[scenario: small-edit]", repository } },
    { timeout: 120_000, onprogress: () => (progressCount += 1) },
  );
  await client.close();
  expect(result._meta?.[DATA], JSON.stringify(result.content)).toMatchObject({ state: "succeeded" });
  expect(progressCount).toBeGreaterThan(3);
  expect(await host("list")).toMatch(/CALLER +TASK\n.* succeeded .* alice /);
  await vi.waitFor(async () => expect(await host("status")).toMatch(/^warm +1 of 1 ready \(\d+ MiB\)/m), {
    timeout: 60_000,
    interval: 200,
  });
  await compose("restart", "--timeout", "5", "engine-filter");
  const [hostId, filterId] = [await compose("ps", "-q", "host"), await compose("ps", "-q", "engine-filter")];
  await expectSealed(hostId, filterId);
  for (const id of [hostId, filterId]) await expectBounded(id);
  const log = await compose("logs");
  expect(log).toContain("call refused");
  expect(log).toMatch(/"caller":"alice".*"msg":"caller starts session"/);
  for (const secret of [...project.secrets, alice, bob]) expect(log.includes(secret)).toBe(false);
});

/** A task of one command of Claude's. */
const bash = (command: string) => `[scenario: call-tools ${JSON.stringify([{ name: "Bash", input: { command } }])}]`;

test("a restart leaves live sessions, and what ends the project ends them with their changes", async () => {
  await using project = await openProject();
  const { compose, host, repository } = project;
  const client = await connect(await project.url(), await host("token", "add", "alice"));
  const spawn = async (command: string) => {
    const spawned = { task: bash(command), repository, wait: false };
    const { _meta } = await client.callTool({ name: "spawn_claude_container", arguments: spawned });
    return (_meta?.[DATA] as { session_id: string }).session_id;
  };
  const first = await spawn("echo one >> made; until [ -e /tmp/go ]; do sleep 0.2; done");
  const second = await spawn("echo two >> made; timeout 170 tail -f /dev/null");
  const show = async (id: string) => JSON.parse(await host("show", id, "--json")) as Record<string, unknown>;
  const changed = async () => {
    for (const id of [first, second]) expect(await show(id)).toMatchObject({ state: "running", change_count: 1 });
  };
  await vi.waitFor(changed, { timeout: 60_000, interval: 500 });
  await client.close();
  const sessions = await project.containers("label=dev.claudecluster.uid");
  expect(sessions).toHaveLength(2);

  await compose("restart");
  await project.url();
  await changed();
  expect(await project.containers("label=dev.claudecluster.uid", "status=running")).toEqual(sessions);
  const { container_id: container } = await show(first);
  await docker("exec", String(container), "touch", "/tmp/go");
  await vi.waitFor(async () => expect(await show(first)).toMatchObject({ state: "succeeded", change_count: 1 }), {
    timeout: 60_000,
    interval: 500,
  });

  await compose("down", "--remove-orphans");
  expect(await project.containers()).toEqual([]);
  expect(await docker("ps", "--all", "--quiet", "--filter", `id=${sessions.join("|")}`)).toBe("");
  await compose("up", "-d");
  await project.url();
  const ended = await show(second);
  expect(ended).toMatchObject({ state: "canceled", caller: "alice", change_count: 1 });
  expect(ended).not.toHaveProperty("patch_incomplete");
  expect(await host("diff", second)).toContain("+two");
}, 300_000);

const supplies = async () =>
  (await docker("volume", "ls", "--quiet", "--filter", "label=dev.claudecluster.supply"))
    .split("\n")
    .filter((name) => name !== "");

test("a front with a token sends its repository, and the engine is supplied with a large one once", async () => {
  const before = await supplies();
  const own = async () => (await supplies()).filter((name) => !before.includes(name));
  await using cleanup = new AsyncDisposableStack();
  // It is the next host's to keep, of which there is none.
  cleanup.defer(async () => void (await docker("volume", "rm", ...(await own()))));
  await using project = await openProject();
  await project.url();
  await using front = await makeHostDirectories();
  const tokenFile = join(front.root, "alice.token");
  await writeFile(tokenFile, await project.host("token", "add", "alice"), { mode: 0o600 });
  const directory = join(front.root, "large");
  runGit(front.root, "init", "-q", "-b", "main", directory);
  await writeFile(join(directory, "large"), randomBytes(17 * 2 ** 20));
  runGit(directory, "add", "-A");
  runGit(directory, "commit", "-qm", "one");
  const env = {
    CLAUDECLUSTER_HOST: `http://127.0.0.1:${await project.port(8812)}`,
    CLAUDECLUSTER_TOKEN_FILE: tokenFile,
  };
  let id = "";
  for (const round of ["first", "second"]) {
    const run = ["run", bash(`wc -c < large; ls /supply; echo ${round} > made`), "--json"];
    const { stdout, stderr } = await claudecluster(front, run, { cwd: directory, env });
    const session = JSON.parse(stdout || "{}") as Record<string, unknown>;
    expect(session, stderr).toMatchObject({ state: "succeeded", change_count: 1 });
    expect(session["result"]).toMatch(/17825792\s+objects\s+packed-refs/);
    expect(await own()).toHaveLength(1);
    id = String(session["session_id"]);
  }
  expect((await claudecluster(front, ["list"], { cwd: directory, env })).stdout.match(/ alice /g)).toHaveLength(2);
  expect((await claudecluster(front, ["apply", id, "--worktree"], { cwd: directory, env })).code).toBe(0);
  expect(await readFile(join(directory, "made"), "utf8")).toBe("second\n");
}, 300_000);

/** It says how it is, and can take no more of the machine than it may. */
async function expectBounded(id: string): Promise<void> {
  const [{ Config, HostConfig }] = JSON.parse(await docker("inspect", id)) as [
    {
      Config: { Healthcheck: { Test: string[] } };
      HostConfig: { Memory: number; PidsLimit: number; LogConfig: object; RestartPolicy: { Name: string } };
    },
  ];
  const [kind, ...check] = Config.Healthcheck.Test;
  expect(kind).toBe("CMD");
  await vi.waitFor(() => docker("exec", id, ...check), { timeout: 20_000, interval: 500 });
  expect(HostConfig).toMatchObject({
    RestartPolicy: { Name: "unless-stopped" },
    LogConfig: { Type: "json-file", Config: { "max-size": expect.any(String), "max-file": expect.any(String) } },
  });
  expect(HostConfig.Memory).toBeGreaterThan(0);
  expect(HostConfig.PidsLimit).toBeGreaterThan(0);
}

/** Run in the host's container, as a hole in the host would let it be: what of the machine can be had? */
const ATTACK = `
  const { existsSync, readFileSync, writeFileSync } = require("node:fs");
  const { request } = require("node:http");
  const call = (method, path, body) => new Promise((resolve, reject) => {
    const sent = request({ socketPath: "/run/engine/docker.sock", method, path }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    sent.once("error", reject).end(body && JSON.stringify(body));
  });
  const fails = (work) => { try { work(); return "done"; } catch (error) { return error.code; } };
  (async () => console.log(JSON.stringify({
    socket: existsSync("/var/run/docker.sock"),
    capabilities: /CapBnd:\\s*(\\w+)/.exec(readFileSync("/proc/self/status", "utf8"))[1],
    replace: fails(() => writeFileSync("/run/engine/own.sock", "")),
    info: await call("GET", "/info"),
    list: await call("GET", "/containers/json?all=true"),
    self: await call("GET", "/containers/" + process.argv[1] + "/json"),
    enter: await call("POST", "/containers/" + process.argv[1] + "/exec", { Cmd: ["id"] }),
    create: await call("POST", "/containers/create?name=" + process.argv[2], {
      Image: "claudecluster/host:latest", HostConfig: { Privileged: true, Binds: ["/:/host"] },
    }),
  })))();
`;

/** The host has no way to the engine but the filter, which has no way to anything but the engine. */
async function expectSealed(host: string, filter: string): Promise<void> {
  const name = `claudecluster-hostile-${randomBytes(4).toString("hex")}`;
  // Until the filter that was started last has its socket, there is none.
  const attack = () => docker("exec", host, "node", "-e", ATTACK, filter, name);
  const seen = await vi.waitFor(attack, { timeout: 30_000, interval: 200 });
  expect(JSON.parse(seen)).toEqual({
    socket: false,
    capabilities: "0000000000000002", // DAC_OVERRIDE
    replace: "EROFS",
    info: 200,
    list: 403,
    self: 404,
    enter: 403,
    create: 403,
  });
  expect(await docker("ps", "--all", "--quiet", "--filter", `name=${name}`)).toBe("");
  expect(await docker("inspect", "--format", "{{range .Mounts}}{{.Source}} {{end}}", host)).not.toContain(
    "docker.sock",
  );
  const limits =
    "{{.HostConfig.NetworkMode}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.CapAdd}}";
  expect(await docker("inspect", "--format", limits, filter)).toBe("none true [ALL] []");
}

async function composeCommand(): Promise<[string, ...string[]]> {
  try {
    await execFileAsync("docker", ["compose", "version"]);
    return ["docker", "compose"];
  } catch {
    // The plugin is not there; the set-up has then made sure of the older program.
    return ["docker-compose"];
  }
}
