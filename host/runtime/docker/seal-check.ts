import type { HostConfig } from "dockerode";
import { AppError } from "../../../proto/index.ts";

/** Returns what a container lacks of its seal, as the engine shows it. No weaker mode accepts that. */
export function openings(asked: HostConfig, given: HostConfig): string[] {
  return [
    ...(given.Privileged !== true && sameCapabilities(asked, given) ? [] : ["capabilities"]),
    ...((given.SecurityOpt as string[] | undefined)?.some((option) => /^no-new-privileges([:=]true)?$/.test(option))
      ? []
      : ["new privileges"]),
    ...(given.ReadonlyRootfs === true ? [] : ["a writable root"]),
    ...(given.NetworkMode === asked.NetworkMode ? [] : ["a network"]),
    ...((given.Mounts ?? []).every(({ ReadOnly }) => ReadOnly === true) ? [] : ["a writable mount"]),
  ];
}

function sameCapabilities(asked: HostConfig, given: HostConfig): boolean {
  return named(given.CapDrop).includes("ALL") && String(named(given.CapAdd)) === String(named(asked.CapAdd));
}

/** Engines write KILL as they were told, or CAP_KILL. */
function named(capabilities: string[] | null | undefined): string[] {
  return (capabilities ?? []).map((name) => name.toUpperCase().replace(/^CAP_/, "")).sort();
}

/** Returns the error for a container that is not sealed. */
export function notSealed(what: string[]): AppError {
  return new AppError("CONTAINER_CREATE_FAILED", `The engine made a container that may have ${what.join(", ")}.`, {
    kind: "FAILED_PRECONDITION",
    metadata: { openings: what.join(",") },
    help: "Use an engine that is tested: `claudecluster doctor` says which.",
  });
}
