import { randomBytes } from "node:crypto";
import { request, type IncomingMessage } from "node:http";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { containerConfig, fillConfig } from "../../host/runtime/docker/container-config.ts";
import { containerName, newContainerKey } from "../../host/runtime/docker/container-name.ts";
import { execConfig } from "../../host/runtime/docker/exec-config.ts";
import { supplyLabelsOf } from "../../host/runtime/docker/labels.ts";
import { header } from "../../host/tar-stream.ts";
import { markedHostId } from "../support/run-mark.ts";
import { type ContractImages, buildContractImages, docker } from "./contract-image.ts";
import { enginePath } from "./engine-path.ts";
import { type FilteredEngine, openFilteredEngine } from "./filtered-engine.ts";
import { sendRaw } from "./raw-engine.ts";

const MIB = 2 ** 20;
const engine = enginePath();
const owner = { hostId: markedHostId(), version: "1.2.3" };
let images: ContractImages;
let filtered: FilteredEngine;
let containers: string[];
let volumes: string[];

beforeAll(async () => {
  images = await buildContractImages();
});
afterAll(() => images[Symbol.asyncDispose]());
beforeEach(async () => {
  [containers, volumes] = [[], []];
  filtered = await openFilteredEngine({ images: [images.agent] });
});
afterEach(async () => {
  await filtered[Symbol.asyncDispose]();
  for (const name of containers) await docker("rm", "--force", "--volumes", name).catch(() => {});
  for (const name of volumes) await docker("volume", "rm", "--force", name);
});

type Json = Record<string, unknown>;
const asItArrives = (value: unknown) => JSON.parse(JSON.stringify(value)) as Json & { HostConfig: Json; Labels: Json };
const refusal = (status = 403) => ({ status, json: { message: expect.stringMatching(/\w+ .*\.$/) } });
const call = (method: string, path: string, body?: unknown) => sendRaw(filtered.path, { method, path, body });

function newName(): string {
  const name = `claudecluster-supply-${randomBytes(8).toString("hex")}`;
  volumes.push(name);
  return name;
}

/** As an honest host asks for it. */
function volume(name = newName(), bytes = 1000) {
  return asItArrives({ Name: name, Labels: supplyLabelsOf(owner, { putBytes: bytes }) });
}

async function supply(bytes?: number): Promise<string> {
  const body = volume(newName(), bytes);
  expect(await call("POST", "/volumes/create", body)).toMatchObject({ status: 201 });
  return String(body["Name"]);
}

function create(key: string, body: unknown) {
  const name = containerName(key);
  containers.push(name);
  return call("POST", `/containers/create?name=${name}`, body);
}

function createFill(name: string, change: (body: ReturnType<typeof asItArrives>) => unknown = (body) => body) {
  const key = newContainerKey();
  return create(key, change(asItArrives(fillConfig({ key, image: images.agent, supply: name, owner }))));
}

function createSession(name: string, change: (body: ReturnType<typeof asItArrives>) => unknown = (body) => body) {
  const key = newContainerKey();
  const shape = {
    image: images.agent,
    memoryBytes: 128 * MIB,
    cpuCount: 1,
    workspaceSizeBytes: 64 * MIB,
    supply: name,
  };
  const sessionUid = 20_000 + (randomBytes(2).readUInt16BE() % 1000);
  const plan = {
    key,
    shape,
    sessionUid,
    owner,
    imageVolumes: ["/declared"],
    limitsCpu: true,
    filtersSystemCalls: true,
  };
  return create(key, change(asItArrives(containerConfig(plan))));
}

async function fillable(bytes?: number): Promise<{ id: string; name: string }> {
  const name = await supply(bytes);
  const { status, json } = await createFill(name);
  expect(status, JSON.stringify(json)).toBe(201);
  return { id: String(json["Id"]), name };
}

function archive(name = "objects/pack/a", content = Buffer.from("content")): Buffer {
  const head = header({ name, mode: 0o444, size: content.length, seconds: 1, type: "0" });
  return Buffer.concat([head, content, Buffer.alloc((512 - (content.length % 512)) % 512), Buffer.alloc(1024)]);
}

async function fill(id: string, bytes = archive(), path = "/supply"): Promise<{ status: number; json: Json }> {
  const options = { socketPath: filtered.path, method: "PUT", path: `/containers/${id}/archive?path=${path}` };
  const sent = request({ ...options, agent: false });
  sent.on("error", () => {}); // What is refused is not read to its end.
  sent.end(bytes);
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  const said = await text(answer);
  return { status: answer.statusCode ?? 0, json: (said === "" ? {} : JSON.parse(said)) as Json };
}

/** Names of the files that a supply holds. */
async function filesOf(name: string): Promise<string> {
  const args = ["run", "--rm", "--network", "none", "--volume", `${name}:/supply:ro`, "--entrypoint", "/bin/sh"];
  return (await docker(...args, images.bridgeless, "-c", "cd /supply; find . -type f | sort")).trim();
}

test("a supply is created, filled once by way of a container, and read by sessions", async () => {
  const { id, name } = await fillable();
  expect(await fill(id)).toMatchObject({ status: 200 });
  expect(await filesOf(name)).toBe("./objects/pack/a");
  expect(await call("DELETE", `/containers/${id}?force=true&v=true`)).toMatchObject({ status: 204 });
  const { status, json } = await createSession(name);
  expect(status, JSON.stringify(json)).toBe(201);
  const mounts = await docker("inspect", "--format", "{{json .HostConfig.Mounts}}", String(json["Id"]));
  expect(JSON.parse(mounts)).toMatchObject([{ Type: "volume", Source: name, Target: "/supply", ReadOnly: true }]);
  expect(await call("DELETE", `/volumes/${name}`)).toMatchObject({ status: 409 });
  const inspected = await call("GET", `/volumes/${name}`);
  expect(Object.keys(inspected.json).sort()).toEqual(["CreatedAt", "Labels", "Name"]);
});

describe("a volume", () => {
  test.each([
    ["the machine's root as its device", { DriverOpts: { type: "none", o: "bind", device: "/" } }],
    ["another driver", { Driver: "nfs" }],
    ["the usual driver, said", { Driver: "local" }],
    ["a cluster's specification", { ClusterVolumeSpec: {} }],
    ["another name", { Name: "claudecluster_state" }],
    ["a path as its name", { Name: "claudecluster-supply-../../../../x" }],
    ["no name", { Name: "" }],
    ["its device by another name", { driveropts: { device: "/" } }],
    ["another program's label", { Labels: { ...volume("claudecluster-supply-0123456789abcdef").Labels, x: "y" } }],
    ["no labels", { Labels: {} }],
    ["the filter's own label", { Labels: { "dev.claudecluster.filter": "mine" } }],
  ])("with %s is refused", async (_what, change) => {
    const body = { ...volume(), ...change };
    expect(await call("POST", "/volumes/create", body)).toMatchObject(refusal());
    expect(await docker("volume", "ls", "--quiet", "--filter", `name=${volumes.at(-1)!}`)).toBe("");
  });

  test("that announces more than a supply has, or more than all may have together, is refused", async () => {
    const gib = 2 ** 30;
    for (const bytes of [4 * gib + 1, 0, -1, 1.5, NaN]) {
      expect(await call("POST", "/volumes/create", volume(newName(), bytes))).toMatchObject(refusal());
    }
    const answers = await Promise.all(
      [3, 3, 3].map((size) => call("POST", "/volumes/create", volume(newName(), size * gib))),
    );
    expect(answers.filter(({ status }) => status === 201).length).toBeLessThanOrEqual(2);
    await Promise.all(volumes.map((name) => call("DELETE", `/volumes/${name}`)));
    expect(await call("POST", "/volumes/create", volume(newName(), 3 * gib))).toMatchObject({ status: 201 });
  });

  test("that is there is nobody's to create again, whosever it is", async () => {
    const [own, foreign] = [await supply(), newName()];
    await docker("volume", "create", foreign);
    for (const name of [own, foreign])
      expect(await call("POST", "/volumes/create", volume(name))).toMatchObject(refusal());
  });

  test("that was not created through the filter cannot be seen, removed, filled or read", async () => {
    const foreign = newName();
    const labels = Object.entries({ ...volume(foreign).Labels, "dev.claudecluster.filter": "another" });
    await docker(
      "volume",
      "create",
      ...labels.flatMap(([key, value]) => ["--label", `${key}=${String(value)}`]),
      foreign,
    );
    const own = await supply();
    expect(await call("GET", `/volumes/${foreign}`)).toMatchObject(refusal(404));
    expect(await call("DELETE", `/volumes/${foreign}`)).toMatchObject(refusal(404));
    expect(await createFill(foreign)).toMatchObject(refusal(404));
    expect(await createSession(foreign)).toMatchObject(refusal(404));
    const filters = encodeURIComponent(JSON.stringify({ label: ["dev.claudecluster.supply"] }));
    const { json } = await call("GET", `/volumes?filters=${filters}`);
    expect((json["Volumes"] as Json[]).map(({ Name }) => Name)).toEqual([own]);
    expect(await docker("volume", "ls", "--quiet", "--filter", `name=${foreign}`)).toBe(foreign);
  });

  test.each([
    ["GET", "/volumes"],
    ["GET", "/volumes?filters=%7B%7D"],
    ["GET", `/volumes?filters=${encodeURIComponent('{"label":["x"]}')}`],
    ["GET", "/volumes/claudecluster_state"],
    ["GET", "/volumes/claudecluster-supply-0123456789abcdef/"],
    ["DELETE", "/volumes/claudecluster-supply-0123456789abcdef?force=true"],
    ["DELETE", "/volumes/claudecluster_state"],
    ["PUT", "/volumes/claudecluster-supply-0123456789abcdef"],
    ["POST", "/volumes/prune"],
  ])("is not asked for like that: %s %s", async (method, path) => {
    expect(await call(method, path)).toMatchObject(refusal());
  });
});

describe("a container by way of which a supply is filled", () => {
  test.each([
    ["privileges", { Privileged: true }],
    ["a network", { NetworkMode: "host" }],
    ["capabilities", { CapDrop: [] }],
    ["a root that can be written", { ReadonlyRootfs: false }],
    ["the machine's root", { Binds: ["/:/host"] }],
    ["the machine's processes", { PidMode: "host" }],
  ])("with %s is refused", async (_what, config) => {
    const name = await supply();
    const answer = await createFill(name, (body) => ({ ...body, HostConfig: { ...body.HostConfig, ...config } }));
    expect(answer).toMatchObject(refusal());
  });

  test.each([
    ["another place", { Target: "/etc" }],
    ["another kind", { Type: "bind", Source: "/" }],
    ["a device", { VolumeOptions: { DriverConfig: { Name: "local", Options: { device: "/" } } } }],
    ["a part of another", { VolumeOptions: { Subpath: "../x" } }],
  ])("with a mount of %s is refused", async (_what, change) => {
    const name = await supply();
    const changed = ({ HostConfig, ...body }: ReturnType<typeof asItArrives>) => {
      const [mount] = HostConfig["Mounts"] as [Json];
      return { ...body, HostConfig: { ...HostConfig, Mounts: [{ ...mount, ...change }] } };
    };
    expect(await createFill(name, changed)).toMatchObject(refusal());
    expect(await createSession(name, changed)).toMatchObject(refusal());
  });

  test("is never started, nor entered", async () => {
    const { id } = await fillable();
    expect(await call("POST", `/containers/${id}/start`)).toMatchObject(refusal());
    const { status } = await call("POST", `/containers/${id}/exec`, execConfig(["dial-stdio"]));
    expect(status).toBeGreaterThanOrEqual(400);
    expect(await docker("inspect", "--format", "{{.State.Status}}", id)).toBe("created");
  });

  test("fills a supply once, and no other container does", async () => {
    const { id, name } = await fillable();
    expect(await createFill(name)).toMatchObject(refusal());
    expect(await fill(id, archive(), "/")).toMatchObject({ status: 403 });
    expect(await fill(id, archive(), "/supply/..")).toMatchObject({ status: 403 });
    expect(await fill(id)).toMatchObject({ status: 200 });
    expect(await fill(id, archive("later"))).toMatchObject({ status: 404 });
    expect(await createFill(name)).toMatchObject(refusal());
    expect(await filesOf(name)).toBe("./objects/pack/a");
  });

  test("is the only one that takes an archive", async () => {
    const { json } = await createSession(await supply());
    expect(await fill(String(json["Id"]))).toMatchObject({ status: 404 });
    const foreign = await docker("create", "--network", "none", images.bridgeless);
    containers.push(foreign);
    expect(await fill(foreign)).toMatchObject({ status: 404 });
  });

  test.each([
    ["a way out", () => archive("../../../escaped")],
    ["more than was announced", () => archive("large", Buffer.alloc(2000))],
    ["a link", () => header({ name: "a", mode: 0o444, size: 0, seconds: 1, type: "2" })],
    ["a device", () => header({ name: "a", mode: 0o444, size: 0, seconds: 1, type: "4" })],
    ["no end", () => archive().subarray(0, 600)],
  ])("takes no archive with %s", async (_what, bytes) => {
    const { id, name } = await fillable();
    expect(await fill(id, bytes())).toMatchObject({ status: 403 });
    expect(await fill(id)).toMatchObject({ status: 404 });
    expect(await filesOf(name)).toBe("");
  });
});

test("a session has its supply to read, and no other mount", async () => {
  const [one, other] = [await supply(), await supply()];
  const mounts = (change: (mount: Json) => Json[]) => (body: ReturnType<typeof asItArrives>) => {
    const [mount] = body.HostConfig["Mounts"] as [Json];
    return { ...body, HostConfig: { ...body.HostConfig, Mounts: change(mount) } };
  };
  for (const change of [
    (mount: Json) => [{ ...mount, ReadOnly: false }],
    (mount: Json) => [mount, { ...mount, Source: other, Target: "/other" }],
    (mount: Json) => [{ ...mount, Source: "claudecluster_state" }],
    (mount: Json) => [{ ...mount, readonly: false }],
    () => [],
  ]) {
    expect(await createSession(one, mounts(change))).toMatchObject(refusal());
  }
  // The control: the engine alone takes the first of them.
  const key = newContainerKey();
  const config = fillConfig({ key, image: images.agent, supply: one, owner });
  containers.push(containerName(key));
  const path = `/containers/create?name=${containerName(key)}`;
  expect(await sendRaw(engine, { method: "POST", path, body: config })).toMatchObject({ status: 201 });
});
