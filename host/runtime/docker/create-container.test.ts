import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type Server, createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ContainerShape, CreateProgress } from "../runtime.ts";
import { DockerRuntime } from "./docker-runtime.ts";

// What a real engine cannot be made to answer on a machine where everything works.

const signal = AbortSignal.timeout(20_000);
const shape: ContainerShape = {
  image: "agent",
  memoryBytes: 2 ** 30,
  cpuCount: 1,
  workspaceSizeBytes: 2 ** 29,
};
const ours = { Id: "c1", Created: 1_700_000_000, State: "created", Labels: { "dev.claudecluster.uid": "20000" } };

type Answer = unknown | { status: number; message: string };
let answers: Record<string, Answer>;
let calls: string[];
let bodies: { Env?: string[]; HostConfig?: Record<string, unknown> }[];
let server: Server;
let path: string;

beforeEach(async () => {
  calls = [];
  bodies = [];
  let created = false;
  answers = {
    "GET /info": { MemoryLimit: true, CpuCfsQuota: true, PidsLimit: true },
    "GET /images/agent/json": { Created: "2026-01-01T00:00:00Z", Config: {} },
    "GET /containers/json": () => (created ? [ours] : []),
    "POST /containers/create": () => {
      created = true;
      return { Id: "c1", Warnings: [] };
    },
    "POST /containers/c1/start": undefined,
    "GET /containers/c1/json": () => ({ HostConfig: bodies.at(-1)!.HostConfig }),
    "POST /containers/c1/wait": new Promise(() => {}),
    "DELETE /containers/c1": undefined,
  };
  server = createServer((incoming, outgoing) => {
    void (async () => {
      const call = `${incoming.method} ${incoming.url?.split("?")[0]}`;
      calls.push(call);
      let body = "";
      for await (const chunk of incoming) body += String(chunk);
      if (call === "POST /containers/create") bodies.push(JSON.parse(body) as { HostConfig: Record<string, unknown> });
      const scripted = answers[call];
      const answer: unknown = await (typeof scripted === "function" ? (scripted as () => unknown)() : scripted);
      const failed = answer as { status?: number } | undefined;
      outgoing.writeHead(failed?.status ?? 200, { "Content-Type": "application/json" });
      outgoing.end(answer === undefined ? "" : JSON.stringify(answer));
    })();
  });
  path = join(await mkdtemp(join(tmpdir(), "stub-engine-")), "docker.sock");
  server.listen(path);
  await once(server, "listening");
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(join(path, ".."), { recursive: true });
});

function runtime(allowWeakLimits = false): DockerRuntime {
  return new DockerRuntime({ address: { kind: "socket", path }, allowWeakLimits });
}

test("tells an agent what to prepare itself for, unless it is older than that or the text is long", async () => {
  const told = async (prepares: string, labels: Record<string, string>) => {
    answers["GET /images/agent/json"] = { Created: "2026-01-01T00:00:00Z", Config: { Labels: labels } };
    await using strict = runtime();
    await strict.create({ ...shape, prepares }, { signal });
    return bodies.at(-1)!.Env!.filter((entry) => entry.startsWith("CLAUDECLUSTER_PREPARE="));
  };
  const labels = { "dev.claudecluster.agent-prepares": "1" };
  expect(await told("{}", labels)).toEqual(["CLAUDECLUSTER_PREPARE={}"]);
  expect(await told("{}", { "dev.claudecluster.agent-version": "0.1.0" })).toEqual([]);
  expect(await told("x".repeat(16 * 1024 + 1), labels)).toEqual([]);
});

test("refuses an engine that says that it cannot limit memory, and creates nothing", async () => {
  answers["GET /info"] = { MemoryLimit: false, CpuCfsQuota: true, PidsLimit: true };
  await using strict = runtime();
  await expect(strict.create(shape, { signal })).rejects.toMatchObject({ reason: "LIMITS_NOT_ENFORCED" });
  expect(await strict.check({ signal })).toMatchObject({ healthy: false, reason: "LIMITS_NOT_ENFORCED" });
  expect(calls).not.toContain("POST /containers/create");
});

/** An engine that takes everything and drops some of it without a word. */
function gives(changes: Record<string, unknown>): void {
  answers["GET /containers/c1/json"] = () => ({ HostConfig: { ...bodies.at(-1)!.HostConfig, ...changes } });
}

test("refuses a container that was given without a limit, and removes it, also without a warning", async () => {
  gives({ PidsLimit: null });
  await using strict = runtime();
  await expect(strict.create(shape, { signal })).rejects.toMatchObject({
    reason: "LIMITS_NOT_ENFORCED",
    metadata: { limits: "processes" },
  });
  expect(calls.at(-1)).toBe("DELETE /containers/c1");
  await using lenient = runtime(true);
  await lenient.create(shape, { signal });
});

test.each([
  [{ Privileged: true }, "capabilities"],
  [{ CapDrop: null }, "capabilities"],
  [{ CapAdd: ["CAP_SETUID", "CAP_SETGID", "CAP_KILL", "CAP_SYS_ADMIN"] }, "capabilities"],
  [{ SecurityOpt: [] }, "new privileges"],
  [{ ReadonlyRootfs: false }, "a writable root"],
  [{ NetworkMode: "bridge" }, "a network"],
])("refuses a container that is not sealed, and removes it, whatever limits are allowed: %o", async (changes, what) => {
  gives(changes);
  await using lenient = runtime(true);
  await expect(lenient.create(shape, { signal })).rejects.toThrow(`may have ${what}.`);
  expect(calls.at(-1)).toBe("DELETE /containers/c1");
});

test("takes the engine's own spelling of what was asked for", async () => {
  gives({ CapDrop: ["all"], CapAdd: ["CAP_KILL", "CAP_SETGID", "CAP_SETUID"] });
  await using strict = runtime();
  await strict.create(shape, { signal });
});

test("says what the engine cannot do or is not known to, and goes on", async () => {
  gives({ MemorySwap: -1 });
  await using strict = runtime();
  const progress: CreateProgress[] = [];
  await strict.create(shape, { signal, onProgress: (step) => progress.push(step) });
  expect(progress).toContainEqual({ phase: "image", message: expect.stringContaining("not among the tested ones") });
  expect(progress).toContainEqual({ phase: "start", message: expect.stringContaining("swap") });
});

test("goes on where weak limits are allowed, without the limit that the engine would refuse", async () => {
  answers["GET /info"] = { MemoryLimit: true, CpuCfsQuota: false, PidsLimit: true };
  await using lenient = runtime(true);
  const warnings = expect.arrayContaining([expect.stringContaining("CPU")]) as string[];
  const enforcedLimits = ["memory", "processes", "system calls"];
  expect(await lenient.check({ signal })).toMatchObject({ healthy: true, warnings, enforcedLimits });
  await lenient.create(shape, { signal });
  expect(bodies[0]?.HostConfig).toMatchObject({ Memory: 2 ** 30 });
  expect(bodies[0]?.HostConfig).not.toHaveProperty("NanoCpus");
});

test("gives no profile to an engine that could not start a container with one, where that is allowed", async () => {
  answers["GET /info"] = { MemoryLimit: true, CpuCfsQuota: true, PidsLimit: true, SecurityOptions: [] };
  await using strict = runtime();
  await expect(strict.create(shape, { signal })).rejects.toMatchObject({ metadata: { limits: "system calls" } });
  await using lenient = runtime(true);
  await lenient.create(shape, { signal });
  expect(bodies[0]?.HostConfig?.SecurityOpt).toEqual(["no-new-privileges"]);
});

test("passes on a warning that is not about limits", async () => {
  const create = answers["POST /containers/create"] as () => object;
  const warning = "The requested image's platform (linux/amd64) does not match the host's";
  answers["POST /containers/create"] = () => ({ ...create(), Warnings: [warning] });
  await using strict = runtime();
  const progress: CreateProgress[] = [];
  await strict.create(shape, { signal, onProgress: (step) => progress.push(step) });
  expect(progress).toContainEqual({ phase: "create", message: warning });
});

test("tells an image that goes between the look and the create from a failure of the engine", async () => {
  answers["POST /containers/create"] = { status: 404, message: "No such image: agent" };
  await using strict = runtime();
  await expect(strict.create(shape, { signal })).rejects.toMatchObject({ reason: "IMAGE_NOT_FOUND" });
});

test("says so when every uid is taken", async () => {
  answers["GET /containers/json"] = Array.from({ length: 1000 }, (_, slot) => ({
    Id: `other${slot}`,
    Labels: { "dev.claudecluster.uid": String(20_000 + slot) },
  }));
  await using strict = runtime();
  await expect(strict.create(shape, { signal })).rejects.toMatchObject({
    reason: "CONTAINER_CREATE_FAILED",
    kind: "RESOURCE_EXHAUSTED",
  });
});

test("does not wait for ever for a uid that others take each time", async () => {
  answers["GET /containers/json"] = () =>
    calls.includes("POST /containers/create") ? [ours, { ...ours, Id: "c2" }] : [];
  await using strict = runtime();
  await expect(strict.create(shape, { signal })).rejects.toMatchObject({
    reason: "CONTAINER_CREATE_FAILED",
    retryable: true,
  });
  expect(calls.filter((call) => call === "DELETE /containers/c1")).toHaveLength(5);
});

test.each([
  ["nobody's wish", true, 1e9],
  ["a wish", false, 2e9],
])("asks for the engine's CPUs where more are %s: %s", async (_what, fewerCpusWillDo, NanoCpus) => {
  answers["GET /info"] = { MemoryLimit: true, CpuCfsQuota: true, PidsLimit: true, NCPU: 1, MemTotal: 2 ** 30 };
  await using small = runtime();
  await small.create({ ...shape, cpuCount: 2, fewerCpusWillDo }, { signal });
  expect(bodies[0]?.HostConfig).toMatchObject({ NanoCpus });
});

test("says what the engine's machine has, and nothing of what it does not say", async () => {
  answers["GET /info"] = { ServerVersion: "26.1.5", NCPU: 1, MemTotal: 6.5 * 2 ** 30 };
  await using engine = runtime();
  expect(await engine.check({ signal })).toMatchObject({
    description: "Docker 26.1.5 (linux), 1 CPU, 6.5 GiB of memory",
    capacity: { cpuCount: 1, memoryBytes: 6.5 * 2 ** 30 },
  });
  answers["GET /info"] = { ServerVersion: "26.1.5" };
  expect(await engine.check({ signal })).toMatchObject({ description: "Docker 26.1.5 (linux)", capacity: {} });
});

test.each([false, true])(
  "refuses Podman with the reason, whatever limits are accepted (%s)",
  async (allowWeakLimits) => {
    answers["GET /info"] = { ServerVersion: "5.4.2", BuildahVersion: "1.39.4", Architecture: "amd64", NCPU: 2 };
    await using podman = runtime(allowWeakLimits);
    const unsupported = {
      reason: "RUNTIME_UNSUPPORTED",
      message: expect.stringMatching(/^Podman 5\.4\.2 is not supported: .*seccomp profile.*tmpfs/),
      help: expect.stringContaining("DOCKER_HOST"),
    };
    expect(await podman.check({ signal })).toMatchObject({ healthy: false, ...unsupported });
    await expect(podman.create(shape, { signal })).rejects.toMatchObject(unsupported);
    expect(calls).not.toContain("POST /containers/create");
  },
);
