import type { ContainerRef } from "../runtime.ts";

/** Name of the runtime in refs. */
export const RUNTIME = "docker";

/** Labels by which our containers are found. */
export const LABELS = {
  container: "dev.claudecluster.container",
  host: "dev.claudecluster.host",
  supply: "dev.claudecluster.supply",
  supplyBytes: "dev.claudecluster.supply-bytes",
  uid: "dev.claudecluster.uid",
  version: "dev.claudecluster.version",
} as const;

/** Label of images whose agent can be told at its start what to prepare itself for. */
export const AGENT_PREPARES = "dev.claudecluster.agent-prepares";

/** Form of the names of supplies. */
export const SUPPLY_NAME = /^claudecluster-supply-[0-9a-f]{16}$/;

/** No session has this uid; containers of ours have one in their labels, by which a sweep finds them. */
export const NO_SESSION_UID = 1;
/** Of a volume that the engine made for a container, since it was gone, the label says something else. */
const PUT = "put";

/** Labels of a container, by name. */
export type Labels = Readonly<Record<string, string>>;

/** Owner of containers on an engine: a host, which is more than one process. */
export interface Owner {
  hostId: string;
  /** Version of ClaudeCluster. */
  version: string;
}

/** Returns the labels for a container of ours. `key` is the id that we give it. */
export function labelsOf(key: string, sessionUid: number, { hostId, version }: Owner): Record<string, string> {
  return {
    [LABELS.container]: key,
    [LABELS.host]: hostId,
    [LABELS.uid]: String(sessionUid),
    [LABELS.version]: version,
  };
}

/** Returns the labels of a supply of ours. `putBytes`: so much was put there. Undefined: nothing was. */
export function supplyLabelsOf(
  { hostId, version }: Owner,
  { putBytes }: { putBytes: number | undefined },
): Record<string, string> {
  return {
    [LABELS.supply]: putBytes === undefined ? "empty" : PUT,
    ...(putBytes !== undefined && { [LABELS.supplyBytes]: String(putBytes) }),
    [LABELS.host]: hostId,
    [LABELS.version]: version,
  };
}

/** Returns whether labels are those of a supply that something was put into. */
export function wasPut(labels: Labels | null | undefined): boolean {
  return labels?.[LABELS.supply] === PUT;
}

/** Returns the uid that labels name. Undefined: they name none. */
export function uidIn(labels: Labels): number | undefined {
  const uid = labels[LABELS.uid] ?? "";
  return /^[1-9][0-9]{0,9}$/.test(uid) ? Number(uid) : undefined;
}

/** Returns whether labels are those of a container of ours, of any host and any version. */
export function areOurs(labels: Labels): boolean {
  return Boolean(labels[LABELS.host]) && Boolean(labels[LABELS.version]) && uidIn(labels) !== undefined;
}

/** Returns the ref of a container, by the engine's id. */
export function refOf(id: string): ContainerRef {
  return { version: 1, runtime: RUNTIME, id };
}
