import type { EngineInfo } from "../runtime/docker/engine.ts";
import { LABELS } from "../runtime/docker/labels.ts";

/** Label of containers that were created through a filter. Its value is the filter's identity. */
export const FILTER_LABEL = "dev.claudecluster.filter";

type Json = Record<string, unknown>;
type Labels = Record<string, string> | null | undefined;

/** Facts that are read of an inspected container. */
export interface Inspected {
  Id: string;
  Created: string;
  State: Json;
  Config: { Labels: Labels };
  HostConfig: Json;
}

/** Facts that are read of a container in a list. */
export interface Listed extends Json {
  Id: string;
  Labels: Labels;
}

/** All that the host looks at; the compiler says what is missing. */
const INFO = {
  ServerVersion: true,
  OSType: true,
  OperatingSystem: true,
  Architecture: true,
  NCPU: true,
  MemTotal: true,
  MemoryLimit: true,
  SwapLimit: true,
  CpuCfsQuota: true,
  PidsLimit: true,
  SecurityOptions: true,
  CgroupVersion: true,
  CgroupDriver: true,
  Driver: true,
  DefaultRuntime: true,
  BuildahVersion: true,
} satisfies Record<keyof EngineInfo, true>;
/** Volume as it is inspected or listed. */
export interface Volume extends Json {
  Labels: Labels;
}

const STATE = ["Status", "Running", "Paused", "ExitCode", "OOMKilled", "FinishedAt"];

/** Returns whether a container was created through the filter with that identity. */
export function isOurs(labels: Labels, identity: string): boolean {
  return labels?.[FILTER_LABEL] === identity;
}

/** Returns what the host learns of the engine: what it runs, its CPUs and memory, nothing else of the machine. */
export function reduceInfo(info: Json): Json {
  return pick(info, Object.keys(INFO));
}

/** Returns what the host learns of an image. */
export function reduceImage({ Id, Created, Config }: Json): Json {
  return { Id, Created, Config: pick((Config ?? {}) as Json, ["Labels", "Volumes"]) };
}

/** Returns what the host learns of what a container of its own uses. */
export function reduceStats({ memory_stats }: Json): Json {
  const memory = pick((memory_stats ?? {}) as Json, ["usage", "stats"]);
  const stats = pick((memory["stats"] ?? {}) as Json, ["total_inactive_file", "inactive_file"]);
  return { memory_stats: { ...memory, stats } };
}

/** Returns what the host learns of a container of its own. */
export function reduceInspected({ Id, Created, State, Config, HostConfig }: Inspected): Json {
  return {
    Id,
    Created,
    State: pick(State, STATE),
    Config: { Labels: pick(Config.Labels ?? {}, Object.values(LABELS)) },
    // What was asked for, or what the engine made of it: that is what the host wants to know.
    HostConfig,
  };
}

/** Returns what the host learns of several containers: of those that are not its own only their uid. */
export function reduceList(containers: Listed[], identity: string): Json[] {
  return containers.map((container) => {
    const labels = container.Labels ?? {};
    if (!isOurs(labels, identity)) return { Labels: pick(labels, [LABELS.uid]) };
    return { ...pick(container, ["Id", "Created", "State"]), Labels: pick(labels, Object.values(LABELS)) };
  });
}

/** Returns what the host learns of a volume. */
export function reduceVolume(volume: Volume): Json {
  return { ...pick(volume, ["Name", "CreatedAt"]), Labels: pick(volume.Labels ?? {}, Object.values(LABELS)) };
}

/** Returns what the host learns of several volumes. */
export function reduceVolumes({ Volumes }: { Volumes?: Volume[] | null }): Json {
  return { Volumes: (Volumes ?? []).map(reduceVolume) };
}

function pick(from: Json, keys: readonly string[]): Json {
  return Object.fromEntries(keys.flatMap((key) => (Object.hasOwn(from, key) ? [[key, from[key]]] : [])));
}
