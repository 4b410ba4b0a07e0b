import type { HostConfig } from "dockerode";
import { AppError } from "../../../proto/index.ts";
import type { ContainerRef, ContainerShape, CreateProgress } from "../runtime.ts";
import type { BackgroundTasks } from "./background-tasks.ts";
import { engineWarnings } from "./check-engine.ts";
import { type ContainerPlan, containerConfig, MAX_PREPARES_CHARS } from "./container-config.ts";
import { containerName, newContainerKey } from "./container-name.ts";
import { engineError, imageNotFound, statusOf } from "./engine-error.ts";
import { UNLIMITED_SWAP, droppedLimits, limitsNotEnforced, missingLimits } from "./engine-limits.ts";
import type { Engine, EngineInfo } from "./engine.ts";
import type { KnownEngine } from "./known-engine.ts";
import { AGENT_PREPARES, type Labels, LABELS, type Owner, refOf, uidIn } from "./labels.ts";
import { raceSignal } from "../race-signal.ts";
import { removeContainer } from "./remove-container.ts";
import { notSealed, openings } from "./seal-check.ts";
import { sendCreate } from "./send-create.ts";
import { pickSessionUid } from "./session-uid.ts";
import { unsupportedEngine } from "./unsupported-engine.ts";

/** Two hosts that pick the same uid at the same time both try again; thrice is beyond chance. */
const ATTEMPTS = 5;

/** Engine to create containers on, and what is known of it. */
export interface CreateContext {
  engine: Engine;
  knownEngine: KnownEngine;
  owner: Owner;
  allowWeakLimits: boolean;
  random: () => number;
  /** Tasks for removals that the caller does not wait for. */
  background: BackgroundTasks;
  /** Keys of the containers that are being created. Nobody else may touch them. */
  underWay: Set<string>;
}

interface CreateOptions {
  signal: AbortSignal;
  onProgress?: ((progress: CreateProgress) => void) | undefined;
}

/** Creates and starts a container. If it fails, nothing is left behind. */
export async function createContainer(
  context: CreateContext,
  shape: ContainerShape,
  options: CreateOptions,
): Promise<ContainerRef> {
  const { signal, onProgress } = options;
  try {
    onProgress?.({ phase: "image", message: `Looking for the image ${shape.image}` });
    const looking = lookAround(context, shape, options);
    looking.catch(() => {}); // Awaited below, where the other has not failed first.
    const firstUid = freeUid(context, signal);
    firstUid.catch(() => {});
    const found = await looking;
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const sessionUid = attempt === 1 ? await firstUid : await freeUid(context, signal);
      const key = newContainerKey();
      context.underWay.add(key);
      try {
        const ref = await createOnce(context, { ...found, key, sessionUid, owner: context.owner }, options);
        if (ref !== undefined) return ref;
      } finally {
        context.underWay.delete(key);
      }
    }
    throw new AppError("CONTAINER_CREATE_FAILED", `Others took the same session uid ${ATTEMPTS} times.`, {
      retryable: true,
    });
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw engineError(error, { reason: "CONTAINER_CREATE_FAILED", what: "The Docker engine made no container" });
  }
}

/** Looks whether it can work at all, and at what the configuration depends on. */
async function lookAround(
  { engine, knownEngine, allowWeakLimits }: CreateContext,
  shape: ContainerShape,
  { signal, onProgress }: CreateOptions,
): Promise<Pick<ContainerPlan, "shape" | "imageVolumes" | "limitsCpu" | "filtersSystemCalls">> {
  const { image } = shape;
  const [info, { Config }] = await Promise.all([
    knownEngine.info({ signal }),
    engine.inspectImage(image, { signal }).catch(explainMissing(image)),
  ]);
  const unsupported = unsupportedEngine(info);
  if (unsupported !== undefined) throw unsupported;
  const missing = missingLimits(info);
  refuseWeakLimits(missing, allowWeakLimits);
  for (const message of engineWarnings(info)) onProgress?.({ phase: "image", message });
  return {
    shape: asKnown(shape.fewerCpusWillDo === true ? withinCpus(shape, info) : shape, Config?.Labels ?? {}),
    imageVolumes: Object.keys(Config?.Volumes ?? {}),
    limitsCpu: !missing.includes("CPU"),
    filtersSystemCalls: !missing.includes("system calls"),
  };
}

/** An engine refuses more CPUs than it has, which may be fewer than this machine's. */
function withinCpus(shape: ContainerShape, { NCPU = Infinity }: EngineInfo): ContainerShape {
  return { ...shape, cpuCount: Math.min(shape.cpuCount, NCPU) };
}

/** An agent of before ends at a variable that it does not know. */
function asKnown({ prepares = "", ...shape }: ContainerShape, labels: Labels): ContainerShape {
  const known = labels[AGENT_PREPARES] !== undefined && prepares !== "" && prepares.length <= MAX_PREPARES_CHARS;
  return known ? { ...shape, prepares } : shape;
}

/** At an image, and at a create, "not found" means the image. */
function explainMissing(image: string): (error: unknown) => never {
  return (error) => {
    throw statusOf(error) === 404 ? imageNotFound(image, error) : error;
  };
}

async function freeUid({ engine, random }: CreateContext, signal: AbortSignal): Promise<number> {
  const containers = await engine.listContainers([LABELS.uid], { signal });
  const taken = new Set(containers.flatMap(({ Labels: labels }) => uidIn(labels) ?? []));
  const uid = pickSessionUid(taken, random);
  if (uid !== undefined) return uid;
  throw new AppError("CONTAINER_CREATE_FAILED", "Every session uid of this engine is in use.", {
    kind: "RESOURCE_EXHAUSTED",
    retryable: true,
    help: `Remove sessions: docker ps -a --filter label=${LABELS.uid}`,
  });
}

/** Undefined if somebody else has the uid. */
async function createOnce(
  context: CreateContext,
  plan: ContainerPlan,
  { signal, onProgress }: CreateOptions,
): Promise<ContainerRef | undefined> {
  const { engine, background, allowWeakLimits } = context;
  const { key, shape, sessionUid } = plan;
  const config = containerConfig(plan);
  onProgress?.({ phase: "create", message: "Creating the container" });
  const creation = sendCreate(engine, containerName(key), config, { signal, background });
  const { id, warnings } = await creation.catch(explainMissing(shape.image));
  const remove = () => {
    const removal = removeContainer(engine, id);
    background.add(removal);
    return raceSignal(removal, signal);
  };
  try {
    for (const message of warnings) onProgress?.({ phase: "create", message });
    onProgress?.({ phase: "start", message: "Starting the container" });
    // At once, since nothing runs under the uid before the host has reached the agent.
    const [containers, { HostConfig: given }] = await Promise.all([
      engine.listContainers([`${LABELS.uid}=${sessionUid}`], { signal }),
      engine.inspectContainer(id, { signal }),
      engine.startContainer(id, { signal }),
    ]);
    refuseLess(config.HostConfig ?? {}, given, allowWeakLimits);
    if (given.MemorySwap !== config.HostConfig?.MemorySwap) onProgress?.({ phase: "start", message: UNLIMITED_SWAP });
    // Whoever lists last sees the other, so to give way to anybody is what is safe.
    if (containers.length !== 1 || containers[0]!.Id !== id) {
      await remove();
      return undefined;
    }
    return refOf(id);
  } catch (error) {
    await remove().catch(() => {}); // What went wrong first is what is told.
    throw error;
  }
}

/** An engine may drop what it or its kernel cannot do, and say so or not; what the container has, it shows. */
function refuseLess(asked: HostConfig, given: HostConfig, allowWeakLimits: boolean): void {
  const open = openings(asked, given);
  if (open.length > 0) throw notSealed(open);
  refuseWeakLimits(droppedLimits(asked, given), allowWeakLimits);
}

function refuseWeakLimits(limits: string[], allowed: boolean): void {
  if (limits.length > 0 && !allowed) throw limitsNotEnforced(limits);
}
