import type { HostConfig } from "dockerode";
import { AppError } from "../../../proto/index.ts";
import type { EnforcedLimit } from "../runtime.ts";
import type { EngineInfo } from "./engine.ts";

/** Limits that containers have on an engine that can enforce them. */
export const LIMITS: readonly EnforcedLimit[] = ["memory", "CPU", "processes", "system calls"];

/** Warning about an engine that cannot limit swap. */
export const UNLIMITED_SWAP = "The engine cannot limit swap: a container may use the machine's swap beyond its memory.";

/** Returns the limits that an engine says it cannot enforce. */
export function missingLimits({ MemoryLimit, CpuCfsQuota, PidsLimit, SecurityOptions }: EngineInfo): EnforcedLimit[] {
  // Only a plain no counts: other engines leave the fields out, and then the container itself is looked at.
  const missing: Record<EnforcedLimit, boolean> = {
    memory: MemoryLimit === false,
    CPU: CpuCfsQuota === false,
    processes: PidsLimit === false,
    // Our profile would keep the container from starting.
    "system calls": SecurityOptions?.some((option) => option.startsWith("name=seccomp")) === false,
  };
  return LIMITS.filter((limit) => missing[limit]);
}

/**
 * Returns the limits that a container was given without. An engine drops what its kernel cannot do, with or without a
 * warning.
 */
export function droppedLimits(asked: HostConfig, given: HostConfig): string[] {
  const filtered = ({ SecurityOpt }: HostConfig) =>
    (SecurityOpt as string[] | undefined)?.find((option) => option.startsWith("seccomp="));
  return [
    ...(asked.Memory !== given.Memory ? ["memory"] : []),
    ...(asked.NanoCpus !== given.NanoCpus ? ["CPU"] : []),
    ...(asked.PidsLimit !== given.PidsLimit ? ["processes"] : []),
    ...(filtered(asked) !== filtered(given) ? ["system calls"] : []),
  ];
}

/** Returns what is weaker than it could be and does not stop containers. */
export function weaknesses(info: EngineInfo): string[] {
  const missing = missingLimits(info);
  return [
    ...(missing.length > 0 ? [`The engine does not enforce limits of: ${missing.join(", ")}.`] : []),
    ...(info.SwapLimit === false && info.MemoryLimit !== false ? [UNLIMITED_SWAP] : []),
  ];
}

/** Returns the error for limits that would not hold. */
export function limitsNotEnforced(limits: string[]): AppError {
  return new AppError("LIMITS_NOT_ENFORCED", `The Docker engine does not enforce limits of: ${limits.join(", ")}.`, {
    metadata: { limits: limits.join(",") },
    help: "Rootless engines need cgroup v2 with systemd, others the cgroup controllers memory, cpu and pids; system calls need a kernel and an engine with seccomp. Or accept it: CLAUDECLUSTER_ALLOW_WEAK_LIMITS=1.",
  });
}
