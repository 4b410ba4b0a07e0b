import { expect, test } from "vitest";
import type { ContainerShape } from "../runtime.ts";
import { type ContainerPlan, containerConfig } from "./container-config.ts";

const GIB = 2 ** 30;
const shape: ContainerShape = {
  image: "claudecluster/agent:latest",
  memoryBytes: 2 * GIB,
  cpuCount: 1.5,
  workspaceSizeBytes: GIB,
};
const owner = { hostId: "host-1", version: "1.2.3" };
const plan: ContainerPlan = {
  key: "0123456789abcdef",
  shape,
  sessionUid: 20007,
  owner,
  imageVolumes: [],
  limitsCpu: true,
  filtersSystemCalls: true,
};

test("seals the container: no network, nothing of the host, three capabilities, limits that hold", () => {
  const { HostConfig, User } = containerConfig(plan);
  expect(User).toBe("0:0");
  expect(HostConfig).toMatchObject({
    NetworkMode: "none",
    ReadonlyRootfs: true,
    Init: true,
    IpcMode: "private",
    CapDrop: ["ALL"],
    CapAdd: ["SETUID", "SETGID", "KILL"],
    SecurityOpt: ["no-new-privileges", expect.stringMatching(/^seccomp=\{"defaultAction":"SCMP_ACT_ERRNO"/)],
    PidsLimit: 512,
    Memory: 2 * GIB,
    MemorySwap: 2 * GIB,
    NanoCpus: 1_500_000_000,
    OomScoreAdj: 0,
    LogConfig: { Type: "local", Config: { "max-size": "1m", "max-file": "2" } },
    ShmSize: 16 * 2 ** 20,
  });
  expect(HostConfig?.Ulimits).toContainEqual({ Name: "core", Soft: 0, Hard: 0 });
  for (const key of ["Binds", "Mounts", "VolumesFrom", "Devices", "Privileged", "PidMode", "AutoRemove"]) {
    expect(HostConfig).not.toHaveProperty(key);
  }
});

test("gives each writable directory its size, its owner and its mode", () => {
  expect(containerConfig(plan).HostConfig?.Tmpfs).toEqual({
    "/tmp": "rw,exec,nosuid,nodev,size=262144k,nr_inodes=131072,mode=1777",
    "/home/claude": "rw,exec,nosuid,nodev,size=262144k,nr_inodes=131072,uid=20007,gid=20007,mode=700",
    "/workspace": "rw,exec,nosuid,nodev,size=1048576k,nr_inodes=524288,uid=20007,gid=20007,mode=755",
    "/base": "rw,noexec,nosuid,nodev,size=524288k,nr_inodes=262144,uid=21007,gid=21007,mode=755",
    "/scan": "rw,noexec,nosuid,nodev,size=262144k,nr_inodes=131072,uid=20007,gid=20007,mode=700",
    "/run/agent": "rw,noexec,nosuid,nodev,size=1m,mode=700",
    "/home": "rw,noexec,nosuid,nodev,size=64k,mode=755",
    "/run": "rw,noexec,nosuid,nodev,size=64k,mode=755",
  });
});

test("keeps what a session can fill below its memory", () => {
  for (const memoryBytes of [GIB / 4, 2 * GIB, 16 * GIB]) {
    const sized = { ...shape, memoryBytes, workspaceSizeBytes: memoryBytes / 2 };
    const { Tmpfs = {}, ShmSize = 0 } = containerConfig({ ...plan, shape: sized }).HostConfig ?? {};
    const fillable = Object.values(Tmpfs).filter((options) => !options.includes("uid=21007"));
    const kib = fillable.map((options) => Number(/size=(\d+)k/.exec(options)?.[1] ?? 0));
    expect(kib.reduce((sum, each) => sum + each * 1024, ShmSize)).toBeLessThan(memoryBytes);
  }
});

test("tells the agent its uids and nothing else", () => {
  expect(containerConfig(plan).Env?.toSorted()).toEqual([
    "CLAUDECLUSTER_BASE_GID=21007",
    "CLAUDECLUSTER_BASE_UID=21007",
    "CLAUDECLUSTER_SESSION_GID=20007",
    "CLAUDECLUSTER_SESSION_UID=20007",
  ]);
});

test("labels the container with whose it is", () => {
  expect(containerConfig(plan).Labels).toEqual({
    "dev.claudecluster.container": "0123456789abcdef",
    "dev.claudecluster.host": "host-1",
    "dev.claudecluster.uid": "20007",
    "dev.claudecluster.version": "1.2.3",
  });
});

test("covers what the image declares as volumes, but not our own directories", () => {
  const { Tmpfs } = containerConfig({ ...plan, imageVolumes: ["/data", "/workspace"] }).HostConfig ?? {};
  expect(Tmpfs?.["/data"]).toBe("rw,noexec,nosuid,nodev,size=1m,mode=755");
  expect(Tmpfs?.["/workspace"]).toContain("uid=20007");
});

test("leaves the CPU limit out where it is accepted that there is none", () => {
  expect(containerConfig({ ...plan, limitsCpu: false }).HostConfig).not.toHaveProperty("NanoCpus");
});
