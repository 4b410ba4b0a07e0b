import { expect, test } from "vitest";
import { docker } from "./contract-image.ts";
import { dockerRig } from "./docker-rig.ts";

const signal = AbortSignal.timeout(600_000);
const rig = dockerRig();

async function run(id: string, script: string): Promise<string[]> {
  return (await docker("exec", id, "/bin/sh", "-c", script)).split("\n");
}

async function uidOf(id: string): Promise<number> {
  return Number(await docker("inspect", "--format", '{{index .Config.Labels "dev.claudecluster.uid"}}', id));
}

test("a container is sealed, as seen from inside", async () => {
  await using container = await rig.runtime.create(rig.harness.shape(), { signal });
  const { id } = container.ref;
  expect(await run(id, "ls /sys/class/net; touch /x 2>&1 || true; id -u")).toEqual([
    "lo",
    expect.stringContaining("Read-only file system"),
    "0",
  ]);
  const status = (await run(id, "cat /proc/1/status")).join("\n");
  expect(status).toMatch(/CapEff:\t0+e0\n/);
  expect(status).toMatch(/CapBnd:\t0+e0\n/);
  expect(status).toMatch(/NoNewPrivs:\t1/);
  expect(status).toMatch(/Seccomp:\t2/);
});

test("a container is held to its limits by the kernel", async () => {
  const shape = rig.harness.shape({ cpuCount: 0.5 });
  await using container = await rig.runtime.create(shape, { signal });
  const memory = String(shape.memoryBytes);
  const [v2, v1] = [
    ["memory.max", "memory.swap.max", "pids.max", "cpu.max"],
    ["memory/memory.limit_in_bytes", "memory/memory.memsw.limit_in_bytes", "pids/pids.max", "cpu/cpu.cfs_quota_us"],
  ];
  const isV2 = "[ -e /sys/fs/cgroup/cgroup.controllers ]";
  const lines = await run(
    container.ref.id,
    `cd /sys/fs/cgroup; if ${isV2}; then cat ${v2!.join(" ")}; else cat ${v1!.join(" ")}; fi`,
  );
  expect([
    [memory, "0", "512", "50000 100000"],
    [memory, memory, "512", "50000"],
  ]).toContainEqual(lines);
});

test("a container can write where it must, each directory with its owner", async () => {
  await using container = await rig.runtime.create(rig.harness.shape(), { signal });
  const { id } = container.ref;
  const uid = await uidOf(id);
  const base = uid + 1000;
  const paths = "/tmp /home/claude /workspace /base /scan /run/agent /declared";
  expect(await run(id, `stat -c '%n %u:%g %a' ${paths}`)).toEqual([
    "/tmp 0:0 1777",
    `/home/claude ${uid}:${uid} 700`,
    `/workspace ${uid}:${uid} 755`,
    `/base ${base}:${base} 755`,
    // The image's own mode counts here on engines with a runc before 1.2.
    expect.stringMatching(`^/scan ${uid}:${uid} 7(00|55)$`),
    "/run/agent 0:0 700",
    "/declared 0:0 755",
  ]);
  const mounted = await run(id, `for p in ${paths}; do grep -c " $p tmpfs " /proc/mounts; done`);
  expect(mounted).toEqual(Array(7).fill("1"));
});

test("a container carries the labels that it is found by, and its session's uid for the agent", async () => {
  await using container = await rig.runtime.create(rig.harness.shape(), { signal });
  const { id } = container.ref;
  const sessionUid = await uidOf(id);
  const { Config } = JSON.parse(await docker("inspect", "--format", "{{json .}}", id)) as {
    Config: { Labels: Record<string, string>; Env: string[] };
  };
  expect(Config.Labels).toMatchObject({
    "dev.claudecluster.container": expect.stringMatching(/^[0-9a-f]{16}$/),
    "dev.claudecluster.host": expect.stringMatching(/^run-/),
    "dev.claudecluster.uid": String(sessionUid),
    "dev.claudecluster.version": expect.stringMatching(/^\d/),
  });
  expect(Config.Env).toContain(`CLAUDECLUSTER_SESSION_UID=${sessionUid}`);
});

test("a container leaves no volume behind, though its image declares one", async () => {
  const container = await rig.runtime.create(rig.harness.shape(), { signal });
  const format = "{{range .Mounts}}{{.Name}} {{end}}";
  const names = (await docker("inspect", "--format", format, container.ref.id))
    .split(" ")
    .filter((name) => name !== "");
  await container[Symbol.asyncDispose]();
  for (const name of names) await expect(docker("volume", "inspect", name)).rejects.toThrow(/no such volume/i);
});
