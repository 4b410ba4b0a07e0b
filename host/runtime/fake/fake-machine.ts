import { AppError } from "../../../proto/index.ts";
import type { ContainerShape, ImageFacts } from "../runtime.ts";
import type { CreateFakeAgent } from "./fake-agent.ts";
import { FakeBox } from "./fake-box.ts";
import { Hold } from "./hold.ts";

/** Name of the fake runtime in refs. */
export const FAKE_RUNTIME = "fake";
/** Mark in place of a host's id: the container is another program's. */
export const FOREIGN = "";

/** Agents and images of a fake machine. */
export interface FakeMachineOptions {
  createAgent: CreateFakeAgent;
  /** Returns the facts about an image. Default: every image is there. */
  findImage?: (image: string) => ImageFacts | undefined;
}

/**
 * What stays when a host restarts: the containers of a fake runtime, and what is to go wrong next.
 * Two runtimes on one machine are two hosts, or one before and after a restart.
 */
export class FakeMachine {
  readonly findImage: (image: string) => ImageFacts | undefined;
  readonly #createAgent: CreateFakeAgent;
  readonly #boxes = new Map<string, FakeBox>();
  readonly #creates = new Hold();
  readonly #removals = new Hold();
  #nextFailure: Error | undefined;
  #losesNextReply = false;

  constructor({
    createAgent,
    findImage = (image) => ({ id: image, createTimeMs: 0, labels: {} }),
  }: FakeMachineOptions) {
    this.#createAgent = createAgent;
    this.findImage = findImage;
  }

  get boxes(): FakeBox[] {
    return [...this.#boxes.values()];
  }

  /** The container with this id. */
  box(id: string): FakeBox | undefined {
    return this.#boxes.get(id);
  }

  /** Creates get no answer until it is released. `matched` resolves at the first that waits. */
  holdCreates(): { matched: Promise<void>; release(): void } {
    return this.#creates.hold();
  }

  /** Containers that a runtime removes stay, killed, until it is released. `matched` resolves at the first that waits. */
  holdRemovals(): { matched: Promise<void>; release(): void } {
    return this.#removals.hold();
  }

  /** The next create makes nothing and fails with this. */
  failNextCreate(error: Error): void {
    this.#nextFailure = error;
  }

  /** The next create makes a container, and the one who asked does not learn it. */
  loseNextCreateReply(): void {
    this.#losesNextReply = true;
  }

  /** Makes and starts a container; `id` is the caller's, so that it can look for one whose reply was lost. */
  async create(id: string, shape: ContainerShape, hostId: string): Promise<FakeBox> {
    await this.#creates.pass();
    const failure = this.#nextFailure;
    this.#nextFailure = undefined;
    if (failure !== undefined) throw failure;
    const box = new FakeBox({
      ref: { version: 1, runtime: FAKE_RUNTIME, id },
      hostId,
      agent: this.#createAgent(shape, id),
      onRemove: () => this.#removals.pass(),
      onRemoved: () => this.#boxes.delete(id),
    });
    this.#boxes.set(id, box);
    if (!this.#losesNextReply) return box;
    this.#losesNextReply = false;
    throw new AppError("RUNTIME_UNAVAILABLE", "The fake machine broke the connection.");
  }
}
