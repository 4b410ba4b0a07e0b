import { randomUUID } from "node:crypto";
import { Readable } from "node:stream";
import { AppError } from "../../proto/index.ts";
import type { FakeAgent } from "../../host/runtime/fake/fake-agent.ts";
import type { FakeBox } from "../../host/runtime/fake/fake-box.ts";
import { FOREIGN, FakeMachine } from "../../host/runtime/fake/fake-machine.ts";
import { FakeRuntime } from "../../host/runtime/fake/fake-runtime.ts";
import type { ContainerRef, ContainerShape, ImageFacts, Runtime } from "../../host/runtime/runtime.ts";
import {
  type ContractAgent,
  type Hold,
  type RuntimeHarness,
  type ShapeOptions,
  exitLogLine,
} from "./runtime-harness.ts";

/** Fake runtimes on a fake machine. */
export class FakeHarness implements RuntimeHarness {
  readonly missingImage = "none-such:latest";
  readonly #agents = new Map<string, (exitCode: number) => void>();
  protected readonly machine = new FakeMachine({
    createAgent: (shape, id) => this.#createAgent(shape, id),
    findImage: (image) => this.findImage(image),
  });
  #foreign = 0;
  /** What flooding agents have got rid of. */
  floodedBytes = 0;

  protected findImage(image: string): ImageFacts | undefined {
    return image === this.missingImage ? undefined : { id: image, createTimeMs: 0, labels: {} };
  }

  openRuntime({ otherHost = false } = {}): Runtime {
    return new FakeRuntime({ machine: this.machine, hostId: otherHost ? "other" : "host" });
  }

  shape({ agent = "agent", ...overrides }: ShapeOptions = {}): ContainerShape {
    return {
      image: agent,
      memoryBytes: 2 ** 27,
      cpuCount: 1,
      workspaceSizeBytes: 2 ** 26,
      ...overrides,
    };
  }

  shapeThatFails(): ContainerShape {
    this.machine.failNextCreate(new AppError("CONTAINER_CREATE_FAILED", "As the test wants it."));
    return this.shape();
  }

  countContainers(): Promise<number> {
    return Promise.resolve(this.machine.boxes.length - this.#foreign);
  }

  async addForeignContainers(): Promise<readonly string[]> {
    const { ref } = await this.machine.create(randomUUID(), this.shape(), FOREIGN);
    this.#foreign++;
    return [ref.id];
  }

  countForeignContainers(): Promise<number> {
    return Promise.resolve(this.machine.boxes.filter(({ hostId }) => hostId === FOREIGN).length);
  }

  holdCreates(): Hold {
    return this.machine.holdCreates();
  }

  loseCreateReply(): void {
    this.machine.loseNextCreateReply();
  }

  exitAgent({ id }: ContainerRef, exitCode: number): Promise<void> {
    this.#agents.get(id)?.(exitCode);
    return Promise.resolve();
  }

  kill(ref: ContainerRef): Promise<void> {
    this.#box(ref).kill();
    return Promise.resolve();
  }

  exhaustMemory(ref: ContainerRef): Promise<void> {
    this.#box(ref).markOutOfMemory();
    return Promise.resolve();
  }

  removeBehindBack(ref: ContainerRef): Promise<void> {
    this.machine.box(ref.id)?.remove();
    return Promise.resolve();
  }

  pause(ref: ContainerRef): Promise<void> {
    this.#box(ref).pause();
    return Promise.resolve();
  }

  resume(ref: ContainerRef): Promise<void> {
    this.#box(ref).resume();
    return Promise.resolve();
  }

  cutConnections(): void {
    for (const box of this.machine.boxes) box.cutConnections();
  }

  /** Connections to agents that are open. */
  get connectionCount(): number {
    return this.machine.boxes.reduce((count, box) => count + box.connectionCount, 0);
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const box of this.machine.boxes) box.remove();
    return Promise.resolve();
  }

  #box({ id }: ContainerRef): FakeBox {
    const box = this.machine.box(id);
    if (box === undefined) throw new Error(`There is no container ${id}.`);
    return box;
  }

  *#flood(): Generator<Buffer> {
    for (; ; this.floodedBytes += 64 * 1024) yield Buffer.alloc(64 * 1024);
  }

  #createAgent({ image }: ContainerShape, id: string): FakeAgent {
    const { promise: exited, resolve } = Promise.withResolvers<{ exitCode: number }>();
    const logLines = ["agent: listening"];
    this.#agents.set(id, (exitCode) => {
      logLines.push(exitLogLine(exitCode));
      resolve({ exitCode });
    });
    const is = (agent: ContractAgent) => image === agent;
    return {
      serve: (stream) => {
        stream.on("error", () => {});
        if (is("floodingAgent")) Readable.from(this.#flood()).pipe(stream);
        else stream.pipe(stream);
      },
      exited,
      logLines,
      kill: () => resolve({ exitCode: 137 }),
    };
  }
}
