import { setImmediate as turn } from "node:timers/promises";
import type { FakeMachine } from "../../host/runtime/fake/fake-machine.ts";
import { FakeRuntime } from "../../host/runtime/fake/fake-runtime.ts";
import type {
  Container,
  ContainerRef,
  ContainerShape,
  CreateProgress,
  ImageFacts,
  ListedContainer,
  Runtime,
  RuntimeHealth,
} from "../../host/runtime/runtime.ts";
import { AppError } from "../../proto/index.ts";

const POD_RUNTIME = "pods";
const MINUTE_MS = 60_000;

/** A clock that a test need not wait for. */
export class VirtualClock {
  nowMs = 0;

  /** Lets time pass, but not beyond an abort. */
  async pass(ms: number, signal: AbortSignal): Promise<void> {
    await turn();
    signal.throwIfAborted();
    this.nowMs += ms;
  }
}

export interface PodRuntimeOptions {
  /** Takes every image: whether one is there shows when it is pulled. */
  machine: FakeMachine;
  hostId: string;
  clock: VirtualClock;
  missingImage: string;
}

/**
 * A runtime that differs from Docker as a cluster does: a pod is made at once, then scheduled, then its image is pulled,
 * which takes minutes; it has no uid of its own and a network that a policy guards; and it may be evicted.
 */
export class PodRuntime implements Runtime {
  readonly name = POD_RUNTIME;
  readonly #options: PodRuntimeOptions;
  readonly #pods: FakeRuntime;
  readonly #pending = new Set<string>();

  constructor(options: PodRuntimeOptions) {
    this.#options = options;
    this.#pods = new FakeRuntime(options);
  }

  check(): Promise<RuntimeHealth> {
    return Promise.resolve({
      healthy: true,
      description: "a cluster",
      warnings: ["Nothing bounds processes."],
      // It queues by itself.
      capacity: {},
      networkSeal: "policy",
      enforcedLimits: ["memory", "CPU"],
    });
  }

  inspectImage(image: string): Promise<ImageFacts | undefined> {
    const { missingImage } = this.#options;
    return Promise.resolve(image === missingImage ? undefined : { id: image, createTimeMs: 0, labels: {} });
  }

  async create(
    shape: ContainerShape,
    { signal, onProgress }: { signal: AbortSignal; onProgress?: (progress: CreateProgress) => void },
  ): Promise<Container> {
    const { clock, missingImage } = this.#options;
    onProgress?.({ phase: "apply", message: "Making the pod" });
    const pod = await this.#pods.create(shape, { signal });
    const { id } = pod.ref;
    this.#pending.add(id);
    try {
      onProgress?.({ phase: "schedule", message: "Waiting for a node" });
      await clock.pass(2 * MINUTE_MS, signal);
      onProgress?.({ phase: "pull", message: `Pulling ${shape.image}` });
      await clock.pass(3 * MINUTE_MS, signal);
      if (shape.image === missingImage) {
        throw new AppError("IMAGE_NOT_FOUND", `"${shape.image}" cannot be pulled.`, { help: "Push it first." });
      }
      return ours(pod);
    } catch (error) {
      await pod[Symbol.asyncDispose]();
      throw error;
    } finally {
      this.#pending.delete(id);
    }
  }

  async adopt(ref: ContainerRef): Promise<Container | undefined> {
    if (ref.runtime !== POD_RUNTIME) return undefined;
    const pod = await this.#pods.adopt({ ...ref, runtime: this.#pods.name });
    return pod && ours(pod);
  }

  async list(options: { everyHost?: boolean; signal: AbortSignal }): Promise<ListedContainer[]> {
    const listed = await this.#pods.list(options);
    return listed
      .filter(({ ref }) => !this.#pending.has(ref.id))
      .map(({ ref, endTimeMs }) => ({ ref: { ...ref, runtime: POD_RUNTIME }, endTimeMs }));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#pods[Symbol.asyncDispose]();
  }
}

function ours(pod: Container): Container {
  return {
    ref: { ...pod.ref, runtime: POD_RUNTIME },
    exited: pod.exited,
    dial: (options) => pod.dial(options),
    [Symbol.asyncDispose]: () => pod[Symbol.asyncDispose](),
  };
}
