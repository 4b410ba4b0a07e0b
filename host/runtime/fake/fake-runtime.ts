import { randomUUID } from "node:crypto";
import { AppError } from "../../../proto/index.ts";
import { raceSignal } from "../race-signal.ts";
import type {
  Container,
  ContainerRef,
  ContainerRequest,
  CreateProgress,
  ImageFacts,
  RemoveAbandonedOptions,
  Runtime,
  RuntimeCapabilities,
  RuntimeHealth,
} from "../runtime.ts";
import type { FakeBox } from "./fake-box.ts";
import { FakeContainer } from "./fake-container.ts";
import { FAKE_RUNTIME, type FakeMachine } from "./fake-machine.ts";

export interface FakeRuntimeOptions {
  machine: FakeMachine;
  /** Default "host". */
  hostId?: string;
}

/**
 * A runtime for tests: containers are agents in this process, connections are in memory. Passes
 * the contract of real ones; the machine makes things go wrong.
 */
export class FakeRuntime implements Runtime {
  readonly name = FAKE_RUNTIME;
  readonly capabilities: RuntimeCapabilities = { enforcesLimits: false };
  readonly machine: FakeMachine;
  /** What `check` answers; a test may set it. */
  health: RuntimeHealth = { healthy: true, description: "fake", warnings: [] };
  readonly #hostId: string;
  readonly #late = new Set<Promise<void>>();

  constructor({ machine, hostId = "host" }: FakeRuntimeOptions) {
    this.machine = machine;
    this.#hostId = hostId;
  }

  check(): Promise<RuntimeHealth> {
    return Promise.resolve(this.health);
  }

  inspectImage(image: string): Promise<ImageFacts | undefined> {
    return Promise.resolve(this.machine.findImage(image));
  }

  async create(
    request: ContainerRequest,
    { signal, onProgress }: { signal: AbortSignal; onProgress?: (progress: CreateProgress) => void },
  ): Promise<Container> {
    signal.throwIfAborted();
    onProgress?.({ phase: "image", message: `Looking for the image ${request.image}` });
    if (this.machine.findImage(request.image) === undefined) throw imageNotFound(request.image);
    onProgress?.({ phase: "create", message: "Creating the container" });
    const id = randomUUID();
    const creation = this.machine.create(id, request, this.#hostId);
    let box: FakeBox;
    try {
      box = await raceSignal(creation, signal);
    } catch (error) {
      this.#removeLate(id, creation);
      throw error;
    }
    onProgress?.({ phase: "start", message: "Starting the container" });
    return new FakeContainer(box);
  }

  adopt(ref: ContainerRef): Promise<Container | undefined> {
    const box = this.machine.boxes.find((each) => each.ref.id === ref.id && each.hostId === this.#hostId);
    return Promise.resolve(box?.ref.sessionId === ref.sessionId ? new FakeContainer(box) : undefined);
  }

  list(): Promise<ContainerRef[]> {
    return Promise.resolve(this.machine.boxes.filter((box) => box.hostId === this.#hostId).map((box) => box.ref));
  }

  removeAbandoned({ endedBeforeMs, isLive }: RemoveAbandonedOptions): Promise<string[]> {
    const abandoned = this.machine.boxes.filter(
      ({ endTimeMs = Infinity, ref }) => endTimeMs < endedBeforeMs && !isLive(ref.sessionId),
    );
    for (const box of abandoned) box.remove();
    return Promise.resolve(abandoned.map(({ ref }) => ref.id));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#late);
  }

  /** A container that is made although nobody waits for it any more is removed. */
  #removeLate(id: string, creation: Promise<FakeBox>): void {
    const removal = creation
      .catch(() => {})
      .then(() => this.machine.box(id)?.remove())
      .finally(() => this.#late.delete(removal));
    this.#late.add(removal);
  }
}

function imageNotFound(image: string): AppError {
  return new AppError("IMAGE_NOT_FOUND", `The image "${image}" is not on the fake machine.`, {
    metadata: { image },
    help: "Give the machine another findImage.",
  });
}
