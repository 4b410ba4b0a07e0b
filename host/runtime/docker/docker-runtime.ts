import { hostname } from "node:os";
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
import { AppError } from "../../../proto/index.ts";
import { VERSION } from "../../version.ts";
import { BackgroundTasks } from "./background-tasks.ts";
import { checkEngine } from "./check-engine.ts";
import { createContainer } from "./create-container.ts";
import { DockerContainer } from "./docker-container.ts";
import type { EngineAddress } from "./engine-address.ts";
import { engineError, statusOf } from "./engine-error.ts";
import { Engine } from "./engine.ts";
import { KnownEngine } from "./known-engine.ts";
import { removeAbandoned } from "./remove-abandoned.ts";
import { LABELS, type Owner, RUNTIME, refFrom } from "./labels.ts";

/** How the runtime is set up. */
export interface DockerRuntimeOptions {
  /**
   * Names the host in the labels that its containers are found by: the same after a restart,
   * another for another host on the same engine. Default: this user on this machine.
   */
  hostId?: string;
  /** Default: where the docker CLI would look (DOCKER_HOST, the current context, the default socket). */
  address?: EngineAddress;
  /** Also use an engine that cannot limit memory, CPU or processes. Default false. */
  allowWeakLimits?: boolean;
  /** Told of a container that could not be removed in the background: a sweep has to. */
  logger?: { warn(fields: object, message: string): void };
  /** Source of chance, from 0 to below 1. Default Math.random. */
  random?: () => number;
}

/** Containers on a Docker engine, found by their labels. Disposing of it does not end containers. */
export class DockerRuntime implements Runtime {
  readonly name = RUNTIME;
  readonly capabilities: RuntimeCapabilities;
  readonly #engine: Engine;
  readonly #knownEngine: KnownEngine;
  readonly #owner: Owner;
  readonly #allowWeakLimits: boolean;
  readonly #random: () => number;
  readonly #background: BackgroundTasks;
  readonly #closing = new AbortController();

  constructor(options: DockerRuntimeOptions = {}) {
    const { hostId = defaultHostId(), address, allowWeakLimits = false, logger, random = Math.random } = options;
    this.capabilities = { enforcesLimits: !allowWeakLimits };
    this.#engine = new Engine(address);
    this.#knownEngine = new KnownEngine(this.#engine);
    this.#owner = { hostId, version: VERSION };
    this.#allowWeakLimits = allowWeakLimits;
    this.#random = random;
    this.#background = new BackgroundTasks((error) => logger?.warn({ err: error }, "container not removed"));
  }

  check({ signal }: { signal: AbortSignal }): Promise<RuntimeHealth> {
    return checkEngine(this.#engine, { signal: this.#alive(signal), allowWeakLimits: this.#allowWeakLimits });
  }

  async inspectImage(image: string, { signal }: { signal: AbortSignal }): Promise<ImageFacts | undefined> {
    const alive = this.#alive(signal);
    return await this.#ask(`The Docker engine did not show the image ${image}`, alive, async () => {
      const { Created, Config } = await this.#engine.inspectImage(image, { signal: alive });
      return { createTimeMs: Date.parse(Created), labels: Config?.Labels ?? {} };
    });
  }

  async create(
    request: ContainerRequest,
    { signal, onProgress }: { signal: AbortSignal; onProgress?: (progress: CreateProgress) => void },
  ): Promise<Container> {
    const context = {
      engine: this.#engine,
      knownEngine: this.#knownEngine,
      owner: this.#owner,
      allowWeakLimits: this.#allowWeakLimits,
      random: this.#random,
      background: this.#background,
    };
    const ref = await createContainer(context, request, { signal: this.#alive(signal), onProgress });
    return new DockerContainer(this.#engine, ref, this.#closing.signal);
  }

  async adopt(ref: ContainerRef, { signal }: { signal: AbortSignal }): Promise<Container | undefined> {
    const current = await this.#inspect(ref.id, this.#alive(signal));
    if (current === undefined || current.sessionId !== ref.sessionId) return undefined;
    return new DockerContainer(this.#engine, current, this.#closing.signal);
  }

  async list({ signal }: { signal: AbortSignal }): Promise<ContainerRef[]> {
    const alive = this.#alive(signal);
    const labels = [`${LABELS.host}=${this.#owner.hostId}`];
    const containers = await this.#ask("The Docker engine did not list containers", alive, () =>
      this.#engine.listContainers(labels, { signal: alive }),
    );
    return (containers ?? []).flatMap(({ Id: id, Created, State, Labels }) => {
      const running = State === "running" || State === "paused";
      return refFrom({ id, createTimeMs: Created * 1000, running, labels: Labels ?? {} }, this.#owner.hostId) ?? [];
    });
  }

  async removeAbandoned(options: RemoveAbandonedOptions): Promise<string[]> {
    const signal = this.#alive(options.signal);
    const removed = await this.#ask("The Docker engine did not show what is abandoned", signal, () =>
      removeAbandoned(this.#engine, { ...options, signal }),
    );
    return removed ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new AppError("RUNTIME_UNAVAILABLE", "The Docker runtime is closed."));
    await this.#background.settled();
  }

  /** What the engine says of a container, undefined if it is not one of ours. */
  async #inspect(id: string, signal: AbortSignal): Promise<ContainerRef | undefined> {
    const found = await this.#ask(`The Docker engine did not show the container ${id}`, signal, () =>
      this.#engine.inspectContainer(id, { signal }),
    );
    if (found === undefined) return undefined;
    const { Id, Created, State, Config } = found;
    // Whole seconds, as in lists: a container's ref is the same wherever it comes from.
    const createTimeMs = Math.floor(Date.parse(Created) / 1000) * 1000;
    return refFrom({ id: Id, createTimeMs, running: State.Running, labels: Config.Labels ?? {} }, this.#owner.hostId);
  }

  /** Undefined if the engine says that there is no such thing. */
  async #ask<T>(what: string, signal: AbortSignal, question: () => Promise<T>): Promise<T | undefined> {
    try {
      return await question();
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (statusOf(error) === 404) return undefined;
      throw engineError(error, { reason: "RUNTIME_UNAVAILABLE", what });
    }
  }

  #alive(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#closing.signal]);
  }
}

function defaultHostId(): string {
  return `${process.getuid?.() ?? "user"}@${hostname()}`;
}
