import { createServer } from "node:net";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DockerRuntime } from "../../host/runtime/docker/docker-runtime.ts";
import { docker } from "./contract-image.ts";
import { dockerRig } from "./docker-rig.ts";

const signal = AbortSignal.timeout(600_000);
const rig = dockerRig();

function uidOf(id: string): Promise<string> {
  return docker("inspect", "--format", '{{index .Config.Labels "dev.claudecluster.uid"}}', id);
}

describe("the uid of a session", () => {
  test("is given up by whoever finds another container with it", async () => {
    const [first, second] = [scriptedRuntime([0.1, 0.2]), scriptedRuntime([0.1, 0.3])];
    const held = rig.harness.proxy.hold("request", /^POST \/containers\/create/);
    const creations = [first, second].map((each) => each.create(rig.harness.shape(), { signal }));
    await held.matched;
    // Both have looked, and both have picked the same.
    await expect.poll(() => rig.harness.proxy.held).toBe(2);
    held.release();
    const containers = await Promise.all(creations);
    const uids = await Promise.all(containers.map(({ ref }) => uidOf(ref.id)));
    await Promise.all(containers.map((container) => container[Symbol.asyncDispose]()));
    expect(new Set(uids).size).toBe(2);
  });

  test("is every container's own, also of several that start at the same time", async () => {
    const runtimes = [rig.runtime, rig.harness.openRuntime(), rig.harness.openRuntime({ otherHost: true })];
    const containers = await Promise.all(runtimes.map((each) => each.create(rig.harness.shape(), { signal })));
    const uids = await Promise.all(containers.map(({ ref }) => uidOf(ref.id)));
    await Promise.all(containers.map((container) => container[Symbol.asyncDispose]()));
    expect(new Set(uids).size).toBe(3);
  });

  function scriptedRuntime(chances: number[]): DockerRuntime {
    return rig.harness.openRuntime({ random: () => chances.shift() ?? Math.random() });
  }
});

describe("a slow engine", () => {
  test.each([
    ["looking for the image", /^GET \/images\//],
    ["looking for a uid", /^GET \/containers\/json/],
    ["starting the container", /^POST \/containers\/.*\/start/],
  ])("does not keep a canceled create that is %s", async (_what, pattern) => {
    const held = rig.harness.proxy.hold("request", pattern);
    const controller = new AbortController();
    const creation = rig.runtime.create(rig.harness.shape(), { signal: controller.signal });
    await held.matched;
    const reason = new Error("enough");
    const start = performance.now();
    controller.abort(reason);
    await expect(creation).rejects.toBe(reason);
    expect(performance.now() - start).toBeLessThan(1000);
    held.release();
    await rig.runtime[Symbol.asyncDispose]();
    expect(await rig.harness.countContainers()).toBe(0);
  });

  test("makes no check longer than five seconds", async () => {
    rig.harness.proxy.hold("request", /./);
    const start = performance.now();
    expect(await rig.runtime.check({ signal })).toMatchObject({ healthy: false, reason: "RUNTIME_UNAVAILABLE" });
    expect(performance.now() - start).toBeLessThan(6000);
  });
});

describe("the end of a container", () => {
  test("is still told when the connection to the engine was lost in between", async () => {
    await using container = await rig.runtime.create(rig.harness.shape(), { signal });
    await expect.poll(() => rig.harness.proxy.cut(/\/wait$/)).toBe(1);
    await rig.harness.exitAgent(container.ref, 4);
    // It is chance whether the engine is asked again before or after the end.
    const cause: unknown = expect.stringMatching(/^(exited|runtimeLost)$/);
    expect(await container.exited).toMatchObject({ cause, exitCode: 4 });
  });

  test("is told as a removal when the container is gone before it could be looked at", async () => {
    await using container = await rig.runtime.create(rig.harness.shape(), { signal });
    const held = rig.harness.proxy.hold("request", /^GET \/containers\/.*\/json/);
    await rig.harness.removeBehindBack(container.ref);
    await held.matched;
    held.release();
    expect(await container.exited).toMatchObject({ cause: "removed", exitCode: 137, lastLogLines: [] });
  });
});

test("an image without the bridge is told from an agent that is down", async () => {
  await using container = await rig.runtime.create(rig.harness.shape({ image: rig.images.bridgeless }), { signal });
  const failure = container.dial({ signal });
  await expect(failure).rejects.toMatchObject({ reason: "AGENT_UNREACHABLE", retryable: true });
  await expect(failure).rejects.toThrow(/dial-stdio/);
});

test("a container that was created and never started is listed as one that has ended, also of an older version", async () => {
  const labels = { session: "ses_OLD", host: "a-host-that-is-lost", uid: "20000", version: "0.0.1" };
  const given = Object.entries(labels).flatMap(([name, value]) => ["--label", `dev.claudecluster.${name}=${value}`]);
  const id = await docker("create", "--network", "none", ...given, rig.images.agent);
  try {
    const listed = await rig.runtime.list({ everyHost: true, signal });
    const { ref, endTimeMs } = listed.find((each) => each.ref.id === id)!;
    expect(Math.abs(endTimeMs! - Date.now())).toBeLessThan(60_000);
    await (await rig.runtime.adopt(ref, { signal }))![Symbol.asyncDispose]();
    expect(await docker("ps", "--all", "--quiet", "--no-trunc")).not.toContain(id);
  } finally {
    await docker("rm", "--force", id).catch(() => {});
  }
});

describe("without an engine", () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "no-engine-"));
  });
  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  test("every call says so, with advice", async () => {
    const path = join(directory, "docker.sock");
    await using missing = new DockerRuntime({ address: { kind: "socket", path } });
    const unavailable = { reason: "RUNTIME_UNAVAILABLE", help: expect.stringContaining("docker") };
    expect(await missing.check({ signal })).toMatchObject({ healthy: false, ...unavailable });
    await expect(missing.create(rig.harness.shape(), { signal })).rejects.toMatchObject(unavailable);
    await expect(missing.list({ signal })).rejects.toMatchObject(unavailable);
    await expect(missing.inspectImage("x", { signal })).rejects.toMatchObject(unavailable);
  });

  test("one that hangs up is told from one that is not there", async () => {
    const path = join(directory, "docker.sock");
    const server = createServer((socket) => socket.destroy()).listen(path);
    await using broken = new DockerRuntime({ address: { kind: "socket", path } });
    await expect(broken.list({ signal })).rejects.toThrow(/broke/);
    server.close();
  });
});
