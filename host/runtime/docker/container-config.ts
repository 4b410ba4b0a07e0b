import type { ContainerCreateOptions, HostConfig, MountSettings } from "dockerode";
import seccompProfile from "../../../docker/seccomp.json" with { type: "json" };
import type { ContainerShape } from "../runtime.ts";
import { type Owner, labelsOf, NO_SESSION_UID, supplyLabelsOf } from "./labels.ts";
import { BASE_UID_OFFSET } from "./session-uid.ts";

const MIB = 2 ** 20;
/** Enough for a parallel build; a fork bomb stops here. */
const PIDS_LIMIT = 512;

/**
 * What programs need on 64-bit machines, and no more: no ptrace, io_uring, namespaces, keys, message queues, and of
 * sockets only Unix, IP and the list of interfaces. Not left to the engine, whose own profile depends on its version.
 */
const SECCOMP = `seccomp=${JSON.stringify(seccompProfile)}`;

const PARENT = "rw,noexec,nosuid,nodev,size=64k,mode=755";

/** Variable with what a container's agent prepares itself for, as its entry begins. */
export const PREPARE_ENTRY = "CLAUDECLUSTER_PREPARE=";
/** More of it is nothing for a variable. */
export const MAX_PREPARES_CHARS = 16 * 1024;

/** Where a container finds its supply. */
export const SUPPLY_DIRECTORY = "/supply";

/** Facts that a container's configuration is made of. */
export interface ContainerPlan {
  /** Id of the container that we give it. */
  key: string;
  shape: ContainerShape;
  sessionUid: number;
  owner: Owner;
  /** Paths at which the image declares volumes. */
  imageVolumes: string[];
  /** Whether to limit CPUs. False: the engine cannot, which is accepted; it would refuse the container. */
  limitsCpu: boolean;
  filtersSystemCalls: boolean;
}

/**
 * Returns the configuration of a sealed container: no network, no mount of the machine's, nothing writable but memory. Of
 * the engine's volumes it has the one that is its supply, to be read.
 */
export function containerConfig(plan: ContainerPlan): ContainerCreateOptions {
  const { key, shape, sessionUid, owner } = plan;
  const baseUid = sessionUid + BASE_UID_OFFSET;
  const environment = {
    CLAUDECLUSTER_SESSION_UID: sessionUid,
    CLAUDECLUSTER_SESSION_GID: sessionUid,
    CLAUDECLUSTER_BASE_UID: baseUid,
    CLAUDECLUSTER_BASE_GID: baseUid,
  };
  return {
    Image: shape.image,
    User: "0:0",
    // Resolves without a network, and needs no proxy.
    Hostname: "localhost",
    Env: [
      ...Object.entries(environment).map(([name, value]) => `${name}=${value}`),
      ...(shape.prepares === undefined ? [] : [PREPARE_ENTRY + shape.prepares]),
    ],
    Labels: labelsOf(key, sessionUid, owner),
    HostConfig: hostConfig(plan, baseUid),
  };
}

function hostConfig(plan: ContainerPlan, baseUid: number): HostConfig {
  const { shape, sessionUid, owner, imageVolumes, limitsCpu, filtersSystemCalls } = plan;
  return {
    NetworkMode: "none",
    ReadonlyRootfs: true,
    Init: true,
    IpcMode: "private",
    CapDrop: ["ALL"],
    // For the agent alone, to start the session's processes under their uid and to end them; those have none.
    CapAdd: ["SETUID", "SETGID", "KILL"],
    SecurityOpt: ["no-new-privileges", ...(filtersSystemCalls ? [SECCOMP] : [])],
    PidsLimit: PIDS_LIMIT,
    Memory: shape.memoryBytes,
    MemorySwap: shape.memoryBytes, // memory and swap together: no swap
    ...(limitsCpu ? { NanoCpus: Math.round(shape.cpuCount * 1e9) } : {}),
    OomScoreAdj: 0,
    Ulimits: [
      { Name: "core", Soft: 0, Hard: 0 }, // the kernel's core handler runs on the host
      { Name: "nofile", Soft: 8192, Hard: 8192 },
    ],
    // Readable after a crash and bounded. The engine refuses a single file.
    LogConfig: { Type: "local", Config: { "max-size": "1m", "max-file": "2" } },
    ShmSize: 16 * MIB,
    ...(shape.supply !== undefined && { Mounts: [supplyMount(shape.supply, owner, { readOnly: true })] }),
    Tmpfs: {
      // A volume of the image would be unbounded disk of the host.
      ...Object.fromEntries(imageVolumes.map((path) => [path, "rw,noexec,nosuid,nodev,size=1m,mode=755"])),
      ...tmpfs(shape, sessionUid, baseUid),
    },
  };
}

/** Returns the configuration of a container by way of which a supply is filled. It is never started. */
export function fillConfig(plan: { key: string; image: string; supply: string; owner: Owner }): ContainerCreateOptions {
  const { key, image, supply, owner } = plan;
  return {
    Image: image,
    Labels: labelsOf(key, NO_SESSION_UID, owner),
    HostConfig: {
      NetworkMode: "none",
      ReadonlyRootfs: true,
      CapDrop: ["ALL"],
      Mounts: [supplyMount(supply, owner, { readOnly: false })],
    },
  };
}

/** Returns the mount of a supply. One that is gone is made anew by the engine, empty, and then has our labels, too. */
export function supplyMount(supply: string, owner: Owner, { readOnly }: { readOnly: boolean }): MountSettings {
  const options = { NoCopy: true, Labels: supplyLabelsOf(owner, { putBytes: undefined }) };
  return {
    Type: "volume",
    Source: supply,
    Target: SUPPLY_DIRECTORY,
    ReadOnly: readOnly,
    VolumeOptions: options as unknown as NonNullable<MountSettings["VolumeOptions"]>,
  };
}

/**
 * What can be written. All of it counts as the container's memory; what the session's uid can fill
 * stays below the limit with the default sizes, so that a full disk is ENOSPC and not the end.
 */
function tmpfs(shape: ContainerShape, sessionUid: number, baseUid: number): Record<string, string> {
  const { memoryBytes, workspaceSizeBytes } = shape;
  const scratch = Math.min(256 * MIB, memoryBytes / 8);
  const session = `uid=${sessionUid},gid=${sessionUid}`;
  return {
    "/tmp": `rw,exec,nosuid,nodev,${size(scratch)},mode=1777`,
    "/home/claude": `rw,exec,nosuid,nodev,${size(scratch)},${session},mode=700`,
    // 755: the agent's uid 0, without DAC_OVERRIDE, must be able to make it a child's directory.
    "/workspace": `rw,exec,nosuid,nodev,${size(workspaceSizeBytes)},${session},mode=755`,
    "/base": `rw,noexec,nosuid,nodev,${size(workspaceSizeBytes / 2)},uid=${baseUid},gid=${baseUid},mode=755`,
    "/scan": `rw,noexec,nosuid,nodev,${size(workspaceSizeBytes / 4)},${session},mode=700`,
    "/run/agent": "rw,noexec,nosuid,nodev,size=1m,mode=700",
    // Before runc 1.2 a directory that the image has keeps the image's mode; below these there is none.
    "/home": PARENT,
    "/run": PARENT,
  };
}

/** Empty files cost memory, too: a kilobyte each, so they are counted. */
function size(bytes: number): string {
  const kib = Math.max(1024, Math.ceil(bytes / 1024));
  return `size=${kib}k,nr_inodes=${Math.ceil(kib / 2)}`;
}
