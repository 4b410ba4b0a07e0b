import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { request } from "node:http";
import type { ContainerCreateOptions } from "dockerode";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { containerConfig } from "../../host/runtime/docker/container-config.ts";
import { containerName, newContainerKey } from "../../host/runtime/docker/container-name.ts";
import { EXEC_START, execConfig } from "../../host/runtime/docker/exec-config.ts";
import { markedHostId } from "../support/run-mark.ts";
import { type ContractImages, buildContractImages, docker } from "./contract-image.ts";
import { enginePath } from "./engine-path.ts";
import { type FilteredEngine, openFilteredEngine } from "./filtered-engine.ts";
import { ESCAPES, MALFORMED } from "./hostile-creates.ts";
import { type RawAnswer, sendRaw } from "./raw-engine.ts";

const MIB = 2 ** 20;
const engine = enginePath();
const hostId = markedHostId();
let images: ContractImages;
let filtered: FilteredEngine;
/** Our own ids of the containers that a test has asked for, the newest last. */
let keys: string[];

beforeAll(async () => {
  images = await buildContractImages();
  filtered = await openFilteredEngine({ images: [images.agent] });
});
afterAll(async () => {
  await filtered[Symbol.asyncDispose]();
  await images[Symbol.asyncDispose]();
});
beforeEach(() => {
  keys = [newContainerKey()];
});
afterEach(async () => {
  const left = await ours();
  if (left.length > 0) await docker("rm", "--force", "--volumes", ...left);
});

/** Containers of this test, by their names: labels may be what was tampered with. */
async function ours(): Promise<string[]> {
  const names = keys.flatMap((key) => ["--filter", `name=${containerName(key)}`]);
  const ids = await docker("ps", "--all", "--quiet", "--no-trunc", ...names);
  return ids.split("\n").filter((id) => id !== "");
}

/** As an honest host asks for it. */
function body(
  image = images.agent,
  { memoryBytes = 128 * MIB } = {},
): ContainerCreateOptions & { HostConfig: Record<string, unknown> } {
  const key = newContainerKey();
  keys.push(key);
  const config = containerConfig({
    key,
    shape: { image, memoryBytes, cpuCount: 1, workspaceSizeBytes: 64 * MIB },
    sessionUid: 20_000 + (randomBytes(2).readUInt16BE() % 1000),
    owner: { hostId, version: "1.2.3" },
    imageVolumes: ["/declared"],
    limitsCpu: true,
    filtersSystemCalls: true,
  });
  // As it arrives.
  return JSON.parse(JSON.stringify(config)) as ReturnType<typeof body>;
}

function create(socketPath: string, given: unknown, name = containerName(keys.at(-1)!)): Promise<RawAnswer> {
  return sendRaw(socketPath, { method: "POST", path: `/containers/create?name=${name}`, body: given });
}

/**
 * The control: what the filter refuses is nothing that the engine would have refused itself. One with user namespaces
 * does so with privileges and the machine's namespaces, and says that these are why; then there is no container.
 */
async function createdByEngineAlone(given: unknown): Promise<string | undefined> {
  const { status, json } = await create(engine, given);
  if (status === 201) return json["Id"] as string;
  expect({ status, json, options: await docker("info", "--format", "{{.SecurityOptions}}") }).toEqual({
    status: 400,
    json: { message: expect.stringContaining("user namespaces") },
    options: expect.stringContaining("name=userns"),
  });
  return undefined;
}

async function created(): Promise<string> {
  const { status, json } = await create(filtered.path, body());
  expect(status, JSON.stringify(json)).toBe(201);
  return json["Id"] as string;
}

const call = (socketPath: string, method: string, path: string, given?: unknown) =>
  sendRaw(socketPath, { method, path, body: given });
const refusal = (status = 403) => ({ status, json: { message: expect.stringMatching(/\w+ .*\.$/) } });

describe("a create", () => {
  test("is passed on as a host makes it, and marked", async () => {
    const given = body();
    const { json, status } = await create(filtered.path, given);
    expect(status).toBe(201);
    const id = json["Id"] as string;
    const [{ Config, HostConfig }] = JSON.parse(await docker("inspect", id)) as [
      { Config: { Labels: Record<string, string> }; HostConfig: Record<string, unknown> },
    ];
    expect(Config.Labels).toMatchObject({ ...given.Labels });
    expect(Config.Labels["dev.claudecluster.filter"]).toBe(filtered.identity);
    const { HostConfig: asked } = given;
    for (const key of ["NetworkMode", "ReadonlyRootfs", "CapDrop", "SecurityOpt", "Memory", "PidsLimit", "LogConfig"]) {
      expect(HostConfig[key], key).toEqual(asked[key]);
    }
  });

  test.each(ESCAPES)("that asks for %s is refused; the engine alone would take it", async (_what, change) => {
    const given = change(body());
    expect(await create(filtered.path, given)).toMatchObject(refusal());
    expect(await ours()).toEqual([]);
    await createdByEngineAlone(given);
  });

  test.each(MALFORMED)("with %s is refused", async (_what, change) => {
    const given = change(body());
    expect(await create(filtered.path, given)).toMatchObject(refusal());
    expect(await ours()).toEqual([]);
  });

  test("that says one thing twice has what was checked, of which the engine would have taken both", async () => {
    const twice = JSON.stringify(body()).replace('"HostConfig":', '"HostConfig":{"Binds":["/:/host"]},"HostConfig":');
    const binds = async ({ json }: RawAnswer) =>
      await docker("inspect", "--format", "{{.HostConfig.Binds}}", String(json["Id"]));
    expect(await binds(await create(filtered.path, twice))).toBe("[]");
    keys.push(newContainerKey());
    expect(await binds(await create(engine, twice))).toBe("[/:/host]");
  });

  test("is what the engine would have obeyed in any case of its letters", async () => {
    const given = { ...body(), "ho\u017ftconfig": { Privileged: true } };
    const id = await createdByEngineAlone(given);
    if (id === undefined) return;
    expect(await docker("inspect", "--format", "{{.HostConfig.Privileged}}", id)).toBe("true");
  });

  test("has no more memory than the machine, together with the others that are not over", async () => {
    const machineBytes = Number(await docker("info", "--format", "{{.MemTotal}}"));
    const half = Math.floor(machineBytes / 2 / 4096) * 4096;
    const withMemory = (memoryBytes: number) => body(images.agent, { memoryBytes });
    expect(await create(filtered.path, withMemory(machineBytes + 2 ** 30))).toMatchObject(refusal());
    const answers = await Promise.all([half, half, half].map((bytes) => create(filtered.path, withMemory(bytes))));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([201, 201, 403]);
    const [first] = await ours();
    await docker("rm", "--force", first!);
    expect(await create(filtered.path, withMemory(half))).toMatchObject({ status: 201 });
  });

  test("has an image of the list, by its name there", async () => {
    const id = await docker("image", "inspect", "--format", "{{.Id}}", images.agent);
    for (const image of [images.bridgeless, id, `${images.agent} `, images.agent.split(":")[0]!, "../x", ""]) {
      expect(await create(filtered.path, body(image))).toMatchObject(refusal());
    }
    expect(await ours()).toEqual([]);
  });

  test("has the name of its own id", async () => {
    for (const name of ["x", `claudecluster-other-0123abcd`, `${containerName(keys.at(-1)!)}0`, ""]) {
      expect(await create(filtered.path, body(), name)).toMatchObject(refusal());
    }
    for (const more of ["&name=x", "&platform=linux", "&fromImage=x", "?name=x", "#"]) {
      const given = body();
      const path = `/containers/create?name=${containerName(keys.at(-1)!)}`;
      expect(await call(filtered.path, "POST", path + more, given)).toMatchObject(refusal());
    }
  });

  test("that is too long is not read to its end", async () => {
    const given = { ...body(), Long: "x".repeat(64 * 1024) };
    expect(await create(filtered.path, given)).toMatchObject(refusal(413));
    expect(await ours()).toEqual([]);
  });
});

const id = "0123456789abcdef".repeat(4);
describe("a call that sessions do not need", () => {
  test.each([
    ...[
      "/_ping",
      "/version",
      "/events",
      "/images/json",
      "/volumes",
      "/networks",
      "/system/df",
      "/containers/json",
      "/swarm",
    ],
    ...[
      "/nodes",
      "/services",
      "/tasks",
      "/secrets",
      "/configs",
      "/plugins",
      "/distribution/x/json",
      "/images/search?term=x",
    ],
    ...[
      "/containers/json?all=true",
      "/containers/json?all=true&filters={}",
      "/containers/json?filters={%22label%22:[]}",
    ],
    "/containers/json?all=true&filters=%7B%22label%22%3A%5B%22dev.claudecluster.session%22%5D%7D",
    "/containers/json?all=true&filters=%7B%22name%22%3A%5B%22x%22%5D%7D",
    "/containers/json?all=true&size=true&filters=%7B%22label%22%3A%5B%22dev.claudecluster.uid%22%5D%7D",
    ...["top", "changes", "export", "stats", "archive?path=/", "attach/ws", "checkpoints"].map(
      (end) => `/containers/${id}/${end}`,
    ),
    ...[`/containers/${id}/json?size=true`, `/containers/${id}/logs?stdout=true&stderr=true&tail=20&follow=true`],
    ...[`/containers/${id}/logs`, `/containers/${id}/logs?stdout=true&stderr=true&tail=all`, `/exec/${id}/json`],
    ...["/containers/x/json", `/containers/${id.slice(1)}/json`, `/containers/${id.toUpperCase()}/json`],
    ...[`/v1.41/info`, `//info`, `/./info`, `/info/`, `/info?x=1`, `/INFO`, `/%69nfo`, `http://engine/info`],
    ...[`/containers/${id}/../json`, `/containers/${id}%2f..%2f${id}/json`, `/containers/${id}/json%00`, "*", "/"],
    ...[
      "/images/alpine/json",
      "/images/../info",
      "/images//json",
      "/images/get?names=x",
      "/session",
      "/grpc",
      "/debug/vars",
    ],
  ])("is refused: GET %s", async (path) => {
    expect(await call(filtered.path, "GET", path)).toMatchObject(refusal());
  });

  test.each([
    ...[
      "/build",
      "/images/create?fromImage=alpine",
      "/images/load",
      "/images/x/tag?repo=y",
      "/images/x/push",
      "/images/prune",
    ],
    ...["/commit?container=x", "/volumes/create", "/volumes/prune", "/networks/create", "/networks/x/connect", "/auth"],
    ...[
      "/containers/prune",
      "/swarm/init",
      "/plugins/pull?remote=x",
      "/secrets/create",
      "/services/create",
      "/session",
      "/grpc",
    ],
    ...[
      "attach?stream=1&stdin=1",
      "pause",
      "unpause",
      "restart",
      "update",
      "rename?name=x",
      "resize?h=1&w=1",
      "start?detachKeys=a",
    ].map((end) => `/containers/${id}/${end}`),
    ...["stop", "stop?t=1", "kill?signal=SIGSTOP", "wait?condition=removed"].map((end) => `/containers/${id}/${end}`),
    ...[`/exec/${id}/resize?h=1`, `/exec/${id}/start`, `/containers/create`],
  ])("is refused: POST %s", async (path) => {
    expect(await call(filtered.path, "POST", path)).toMatchObject(refusal());
  });

  test.each([
    ["DELETE", `/containers/${id}`],
    ["DELETE", `/containers/${id}?force=true&v=true&link=true`],
    ["DELETE", `/containers/x?force=true&v=true`],
    ["DELETE", "/images/claudecluster/agent:latest"],
    ["DELETE", "/volumes/x"],
    ["DELETE", "/networks/x"],
    ["PUT", `/containers/${id}/archive?path=/`],
    ["HEAD", `/containers/${id}/archive?path=/`],
    ["HEAD", "/_ping"],
    ["OPTIONS", "/info"],
    ["PATCH", "/info"],
    ["POST", "/info"],
    ["GET", "/containers/create?name=x"],
  ])("is refused: %s %s", async (method, path) => {
    const { status } = await call(filtered.path, method, path);
    expect(status).toBe(403);
  });

  test("would be answered by the engine alone", async () => {
    for (const path of [
      "/version",
      "/images/json",
      "/volumes",
      "/networks",
      "/containers/json",
      "/v1.41/info",
      "//info",
    ]) {
      const { status } = await call(engine, "GET", path);
      expect([200, 301], path).toContain(status);
    }
  });

  test("is logged, and what it was asked with is not", async () => {
    await call(filtered.path, "POST", "/volumes/create?secret=xyzzy", { Name: "xyzzy" });
    const lines = filtered.log.filter(({ path }) => path === "/volumes/create");
    expect(lines.at(-1)).toMatchObject({ level: 40, method: "POST", msg: "call refused" });
    expect(JSON.stringify(filtered.log)).not.toContain("xyzzy");
  });
});

describe("a container that was not created through the filter", () => {
  let foreign: string;

  beforeEach(async () => {
    const given = body();
    const labels = Object.entries({ ...given.Labels, "dev.claudecluster.filter": "another" });
    const name = containerName(keys.at(-1)!);
    const marked = labels.flatMap(([key, value]) => ["--label", `${key}=${value}`]);
    foreign = await docker("run", "--detach", "--network", "none", "--name", name, ...marked, images.bridgeless);
  });

  test.each([
    ["inspected", "GET", "/json"],
    ["started", "POST", "/start"],
    ["killed", "POST", "/kill"],
    ["waited for", "POST", "/wait"],
    ["read", "GET", "/logs?stdout=true&stderr=true&tail=20"],
    ["entered", "POST", "/exec"],
    ["removed", "DELETE", "?force=true&v=true"],
  ])("cannot be %s", async (_what, method, end) => {
    const given = end === "/exec" ? execConfig(["dial-stdio"]) : undefined;
    expect(await call(filtered.path, method, `/containers/${foreign}${end}`, given)).toMatchObject(refusal(404));
    expect(await docker("inspect", "--format", "{{.State.Running}} {{.ExecIDs}}", foreign)).toBe("true []");
  });

  test("cannot be removed by its name", async () => {
    const name = (await docker("inspect", "--format", "{{.Name}}", foreign)).slice(1);
    const removal = await call(filtered.path, "DELETE", `/containers/${name}?force=true&v=true`);
    expect(removal).toMatchObject(refusal(404));
    expect(await docker("inspect", "--format", "{{.State.Running}}", foreign)).toBe("true");
  });

  test("is the engine's to give to whoever asks it alone", async () => {
    expect(await call(engine, "GET", `/containers/${foreign}/json`)).toMatchObject({ status: 200 });
    const exec = await call(engine, "POST", `/containers/${foreign}/exec`, { Cmd: ["id"], Privileged: true });
    expect(exec).toMatchObject({ status: 201 });
    expect(await start(filtered.path, exec.json["Id"] as string)).toMatchObject({ status: 404 });
  });

  test("is not listed, but for the uid that it takes", async () => {
    const mine = await created();
    const list = async (label: string) => {
      const filters = encodeURIComponent(JSON.stringify({ label: [label] }));
      const { json } = await call(filtered.path, "GET", `/containers/json?all=true&filters=${filters}`);
      return json as unknown as { Id?: string; Labels: Record<string, string> }[];
    };
    expect((await list(`dev.claudecluster.host=${hostId}`)).map(({ Id }) => Id)).toEqual([mine]);
    const uids = await list("dev.claudecluster.uid");
    const uid = (
      await docker("inspect", "--format", '{{index .Config.Labels "dev.claudecluster.uid"}}', foreign)
    ).trim();
    expect(uids).toContainEqual({ Labels: { "dev.claudecluster.uid": uid } });
    expect(uids.filter(({ Id }) => Id !== undefined).map(({ Id }) => Id)).toEqual([mine]);
  });
});

/** Asks for an exec's stream; resolves with the status, and with what the first bytes are if there is a stream. */
function start(socketPath: string, exec: string, given: unknown = EXEC_START): Promise<{ status: number }> {
  const payload = JSON.stringify(given);
  const headers = { connection: "Upgrade", upgrade: "tcp", "content-length": Buffer.byteLength(payload) };
  const sent = request({ socketPath, method: "POST", path: `/exec/${exec}/start`, agent: false, headers });
  sent.end(payload);
  return new Promise((resolve, reject) => {
    sent.once("error", reject);
    sent.once("response", (answer) => {
      answer.resume();
      resolve({ status: answer.statusCode ?? 0 });
    });
    sent.once("upgrade", (_answer, socket) => {
      socket.destroy();
      resolve({ status: 101 });
    });
  });
}

describe("an exec", () => {
  let container: string;
  const createExec = (given: unknown) => call(filtered.path, "POST", `/containers/${container}/exec`, given);

  beforeEach(async () => {
    container = await created();
    expect(await call(filtered.path, "POST", `/containers/${container}/start`)).toMatchObject({ status: 204 });
  });

  test.each([
    ["another command", { Cmd: ["/bin/sh"] }],
    ["more arguments", { Cmd: ["dial-stdio", "/x"] }],
    ["a command by another name", { cmd: ["/bin/sh"] }],
    ["privileges", { Privileged: true }],
    ["no privileges, but a say in them", { Privileged: false }],
    ["privileges by another name", { privileged: true }],
    ["another user", { User: "0" }],
    ["another environment", { Env: ["PATH=/tmp"] }],
    ["another working directory", { WorkingDir: "/proc/1/root" }],
    ["a terminal", { Tty: true }],
    ["keys to leave by", { DetachKeys: "a" }],
  ])("with %s is refused; the engine alone would take it", async (_what, change) => {
    const given = { ...execConfig(["dial-stdio"]), ...change };
    expect(await createExec(given)).toMatchObject(refusal());
    expect(await docker("inspect", "--format", "{{.ExecIDs}}", container)).toBe("[]");
    expect(await call(engine, "POST", `/containers/${container}/exec`, given)).toMatchObject({ status: 201 });
  });

  test("is started once, as it was created, and as a stream only", async () => {
    const { json } = await createExec(execConfig(["dial-stdio"]));
    const exec = json["Id"] as string;
    expect(await call(filtered.path, "POST", `/exec/${exec}/start`, EXEC_START)).toMatchObject({ status: 403 });
    expect(await start(filtered.path, exec, { Detach: true, Tty: false })).toEqual({ status: 403 });
    expect(await start(filtered.path, exec, { ...EXEC_START, detach: true })).toEqual({ status: 403 });
    expect(await start(filtered.path, exec)).toEqual({ status: 101 });
    expect(await start(filtered.path, exec)).toEqual({ status: 404 });
  });

  test("is the only call that turns into a stream", async () => {
    const headers = { connection: "Upgrade", upgrade: "tcp" };
    for (const path of [`/containers/${container}/attach?stream=1&stdin=1`, "/session", "/grpc", "/info"]) {
      const sent = request({ socketPath: filtered.path, method: "POST", path, agent: false, headers }).end();
      const [answer] = (await once(sent, "response")) as [{ statusCode: number; resume(): void }];
      answer.resume();
      expect(answer.statusCode).toBe(403);
    }
  });
});

describe("another filter", () => {
  test("with the same identity goes on with the containers of the one before it", async () => {
    const container = await created();
    await using restarted = await openFilteredEngine({ images: [images.agent], identity: filtered.identity });
    expect(await call(restarted.path, "GET", `/containers/${container}/json`)).toMatchObject({ status: 200 });
    expect(await call(restarted.path, "DELETE", `/containers/${container}?force=true&v=true`)).toMatchObject({
      status: 204,
    });
  });

  test("with another identity does not touch them", async () => {
    const container = await created();
    await using other = await openFilteredEngine({ images: [images.agent] });
    expect(await call(other.path, "GET", `/containers/${container}/json`)).toMatchObject(refusal(404));
    expect(await call(other.path, "DELETE", `/containers/${container}?force=true&v=true`)).toMatchObject(refusal(404));
    expect(await ours()).toEqual([container]);
  });
});

test("the host is told nothing of the machine but what containers share of it", async () => {
  const info = await call(filtered.path, "GET", "/info");
  expect(Object.keys(info.json)).toContain("ServerVersion");
  for (const key of ["Name", "DockerRootDir", "RegistryConfig", "HttpProxy", "Containers", "Labels"]) {
    expect(info.json).not.toHaveProperty(key);
  }
  const container = await created();
  const inspected = await call(filtered.path, "GET", `/containers/${container}/json`);
  expect(Object.keys(inspected.json).toSorted()).toEqual(["Config", "Created", "HostConfig", "Id", "State"]);
});
