import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { ContainerSpecSchema, type EventBody, RepositorySpecSchema, SessionSpecSchema } from "../../proto/index.ts";
import { docker } from "./docker.ts";
import type { HostRig } from "./rig.ts";
import { eachEvent } from "./each-event.ts";

/** A live session, and what it takes to run programs in its container as Claude would. */
export interface SealedSession {
  id: string;
  container: string;
  /** The uid that Claude has. */
  user: string;
  /** The environment that Claude has. */
  environment: Record<string, string>;
}

export interface SealedSessionOptions {
  task: string;
  /** Resolves after the first of these events. */
  until: EventBody["case"];
  /** The session stays after its turn for this long. Default: it ends. */
  idleMs?: number;
  /** Default: the rig's. */
  repository?: string;
  /** Of the container. Default: the host's. */
  memoryBytes?: bigint;
}

/** Longer than anybody needs one. */
const TIMEOUT_MS = 3_600_000;

/** Starts a session. The rig ends it. */
export async function startSealedSession(
  rig: HostRig,
  { task, until, idleMs = 0, repository = rig.repository, memoryBytes = 0n }: SealedSessionOptions,
): Promise<SealedSession> {
  const { id } = await rig.sessions.create({
    spec: create(SessionSpecSchema, {
      task,
      repository: create(RepositorySpecSchema, { uri: repository }),
      timeout: durationFromMs(TIMEOUT_MS),
      idleTimeout: durationFromMs(idleMs),
    }),
    container: create(ContainerSpecSchema, { memoryBytes }),
  });
  for await (const { event } of eachEvent(
    rig.sessions.watch(id, { afterSequence: 0, signal: AbortSignal.timeout(memoryBytes === 0n ? 60_000 : 600_000) }),
  )) {
    if (event.case === until) break;
    if (event.case === "sessionFinished") throw new Error(`Session ${id} ended before ${until}.`);
  }
  const { containerId: container } = await rig.sessions.get(id);
  const user = await docker("inspect", "--format", '{{index .Config.Labels "dev.claudecluster.uid"}}', container);
  return { id, container, user, environment: await claudeEnvironment(container, user) };
}

/** What Claude's own user reads of its process. */
async function claudeEnvironment(container: string, user: string): Promise<Record<string, string>> {
  const find = `for d in /proc/[0-9]*; do tr '\\0' ' ' < $d/cmdline | grep -q '^[^ ]*claude .*-p ' && tr '\\0' '\\n' < $d/environ && break; done 2>/dev/null; true`;
  const printed = await docker("exec", "--user", user, container, "sh", "-c", find);
  return Object.fromEntries(
    printed.split("\n").flatMap((line) => {
      const equals = line.indexOf("=");
      return equals > 0 ? [[line.slice(0, equals), line.slice(equals + 1)]] : [];
    }),
  );
}
