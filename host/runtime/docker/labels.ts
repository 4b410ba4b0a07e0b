import type { ContainerRef } from "../runtime.ts";

/** The runtime's name, in refs. */
export const RUNTIME = "docker";

/** What our containers are found by. */
export const LABELS = {
  session: "dev.claudecluster.session",
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

/** The labels of a session's container. */
export function labelsOf(sessionId: string, sessionUid: number, { hostId, version }: Owner): Record<string, string> {
  return {
    [LABELS.session]: sessionId,
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

/** Names a container by its labels; undefined if it is not one of this host's. */
export function refFrom(
  { id, createTimeMs, running, labels }: { id: string; createTimeMs: number; running: boolean; labels: Labels },
  hostId: string,
): ContainerRef | undefined {
  const sessionId = labels[LABELS.session];
  const sessionUid = uidIn(labels);
  if (labels[LABELS.host] !== hostId || !sessionId || sessionUid === undefined) return undefined;
  return { version: 1, runtime: RUNTIME, id, sessionId, sessionUid, createTimeMs, running };
}
