import { randomUUID } from "node:crypto";
import { AppError } from "../../../proto/index.ts";
import { raceSignal } from "../race-signal.ts";
import type {
  Container,
  ContainerRef,
  ContainerShape,
  CreateProgress,
  ImageFacts,
  ListedContainer,
  Runtime,
  RuntimeHealth,
} from "../runtime.ts";
import type { FakeBox } from "./fake-box.ts";
import { FakeContainer } from "./fake-container.ts";
import { FAKE_RUNTIME, FOREIGN, type FakeMachine } from "./fake-machine.ts";

/** Machine of a fake runtime, and whose its containers are. */
export interface FakeRuntimeOptions {
  machine: FakeMachine;
  /** Id of the host. Default: "host". */
  hostId?: string;
}

/** What a fake runtime says of itself unless a test says otherwise. */
export const HEALTHY = {
  healthy: true,
  description: "fake",
  warnings: [],
  capacity: {},
  networkSeal: "noInterface",
  enforcedLimits: [],
} satisfies RuntimeHealth;

/**
 * A runtime for tests: containers are agents in this process, connections are in memory. Passes
 * the contract of real ones; the machine makes things go wrong.
 */
export class FakeRuntime implements Runtime {
  readonly name = FAKE_RUNTIME;
  readonly machine: FakeMachine;
  /** What `check` answers; a test may set it. */
  health: RuntimeHealth = HEALTHY;
  readonly #hostId: string;
  readonly #underWay = new Set<string>();
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
    shape: ContainerShape,
    { signal, onProgress }: { signal: AbortSignal; onProgress?: (progress: CreateProgress) => void },
  ): Promise<Container> {
    signal.throwIfAborted();
    onProgress?.({ phase: "image", message: `Looking for the image ${shape.image}` });
    if (this.machine.findImage(shape.image) === undefined) throw imageNotFound(shape.image);
    onProgress?.({ phase: "create", message: "Creating the container" });
    const id = randomUUID();
    const creation = this.machine.create(id, shape, this.#hostId);
    let box: FakeBox;
    this.#underWay.add(id);
    try {
      box = await raceSignal(creation, signal);
    } catch (error) {
      this.#removeLate(id, creation);
      throw error;
    } finally {
      this.#underWay.delete(id);
    }
    onProgress?.({ phase: "start", message: "Starting the container" });
    return new FakeContainer(box);
  }

  adopt({ version, runtime, id }: ContainerRef): Promise<Container | undefined> {
    const box = version === 1 && runtime === FAKE_RUNTIME ? this.machine.box(id) : undefined;
    return Promise.resolve(box === undefined || box.hostId === FOREIGN ? undefined : new FakeContainer(box));
  }

  list({ everyHost = false }: { everyHost?: boolean } = {}): Promise<ListedContainer[]> {
    const shown = this.machine.boxes.filter(
      ({ hostId, ref }) => (everyHost ? hostId !== FOREIGN : hostId === this.#hostId) && !this.#underWay.has(ref.id),
    );
    return Promise.resolve(shown.map(({ ref, endTimeMs }) => ({ ref, endTimeMs })));
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
