import type { ContainerRef } from "../runtime.ts";

/** The runtime's name, in refs. */
export const RUNTIME = "docker";

/** What our containers are found by. */
export const LABELS = {
  container: "dev.claudecluster.container",
  host: "dev.claudecluster.host",
  uid: "dev.claudecluster.uid",
  version: "dev.claudecluster.version",
} as const;

export type Labels = Readonly<Record<string, string>>;

/** Which of the containers on an engine are ours: the host survives its process, so it is not the process. */
export interface Owner {
  hostId: string;
  /** Of ClaudeCluster. */
  version: string;
}

/** The labels of a container of ours. `key` is our own id of it. */
export function labelsOf(key: string, sessionUid: number, { hostId, version }: Owner): Record<string, string> {
  return {
    [LABELS.container]: key,
    [LABELS.host]: hostId,
    [LABELS.uid]: String(sessionUid),
    [LABELS.version]: version,
  };
}

/** The uid that a label says, undefined if it says none. */
export function uidIn(labels: Labels): number | undefined {
  const uid = labels[LABELS.uid] ?? "";
  return /^[1-9][0-9]{0,9}$/.test(uid) ? Number(uid) : undefined;
}

/** Whether labels are those of a container of ours, of any host and any version. */
export function areOurs(labels: Labels): boolean {
  return Boolean(labels[LABELS.host]) && Boolean(labels[LABELS.version]) && uidIn(labels) !== undefined;
}

/** Names a container by the engine's id. */
export function refOf(id: string): ContainerRef {
  return { version: 1, runtime: RUNTIME, id };
}
