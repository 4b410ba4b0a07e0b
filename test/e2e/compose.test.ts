import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { expect, test, vi } from "vitest";
import { SMALL_REPOSITORY } from "../model/small-repository.ts";
import { startScriptedModel } from "../model/scripted-model.ts";
import { docker, dockerGateway } from "../support/docker.ts";
import { startGitServer } from "../support/git-server.ts";
import { DATA } from "../../host/mcp/tool-result.ts";

const execFileAsync = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

test("the compose file starts a host that serves MCP over HTTP to callers with the token, and to no others", async () => {
  const directory = await mkdtemp(join(tmpdir(), "claudecluster-compose-"));
  const project = `claudecluster-test-${randomBytes(4).toString("hex")}`;
  const [token, key] = [randomBytes(32).toString("hex"), randomBytes(32).toString("hex")];
  const gateway = await dockerGateway();
  await using model = await startScriptedModel({ key, host: gateway });
  await using git = await startGitServer({ host: gateway });
  const repository = await git.addRepository("greeter", SMALL_REPOSITORY);
  await writeFile(join(directory, "token"), token, { mode: 0o600 });
  await writeFile(join(directory, "key"), key, { mode: 0o600 });
  const env = {
    PATH: process.env["PATH"],
    HOME: process.env["HOME"],
    CLAUDECLUSTER_TOKEN_FILE: join(directory, "token"),
    CLAUDECLUSTER_KEY_FILE: join(directory, "key"),
    CLAUDECLUSTER_PORT: "0",
    ANTHROPIC_BASE_URL: model.url,
    ...(process.env["CLAUDECLUSTER_IMAGE"] && { CLAUDECLUSTER_IMAGE: process.env["CLAUDECLUSTER_IMAGE"] }),
  };
  const [command, ...plugin] = await composeCommand();
  const compose = async (...args: string[]) =>
    (
      await execFileAsync(
        command,
        [...plugin, "-p", project, "-f", join(ROOT, "docker-compose.prototype.yml"), ...args],
        { env, cwd: ROOT },
      )
    ).stdout.trim();
  await docker("image", "inspect", "claudecluster/host:latest");
  try {
    await compose("up", "-d");
    const port = (await compose("port", "host", "8811")).split(":").at(-1);
    const url = new URL(`http://127.0.0.1:${port}/mcp`);
    const post = (headers: Record<string, string>) =>
      fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...headers },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} }),
      });
    await vi.waitFor(async () => expect((await post({})).status).toBe(401), { timeout: 30_000, interval: 100 });
    expect((await post({ authorization: "Bearer wrong" })).status).toBe(401);
    const authorization = `Bearer ${token}`;
    expect((await post({ authorization, origin: "http://evil.test" })).status).toBe(403);
    expect((await post({ authorization })).status).toBe(200);

    const client = new Client({ name: "test", version: "1.0.0" });
    await client.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers: { authorization } } }));
    let progressCount = 0;
    const result = await client.callTool(
      { name: "spawn_claude_container", arguments: { task: "[scenario: small-edit]", repository } },
      { timeout: 120_000, onprogress: () => (progressCount += 1) },
    );
    await client.close();
    expect(result._meta?.[DATA], JSON.stringify(result.content)).toMatchObject({ state: "succeeded" });
    expect(progressCount).toBeGreaterThan(3);
    expect(await compose("exec", "-T", "host", "claudecluster", "list")).toContain("succeeded");
    await compose("restart", "--timeout", "5", "engine-filter");
    await expectSealed(await compose("ps", "-q", "host"), await compose("ps", "-q", "engine-filter"));
    const log = await compose("logs");
    expect(log).toContain("call refused");
    expect(log.includes(key) || log.includes(token)).toBe(false);
  } finally {
    await compose("down", "--volumes", "--timeout", "5");
    await rm(directory, { recursive: true });
  }
});

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
