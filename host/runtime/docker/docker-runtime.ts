import { hostname } from "node:os";
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
import { AppError } from "../../../proto/index.ts";
import { VERSION } from "../../version.ts";
import { BackgroundTasks } from "./background-tasks.ts";
import { checkEngine } from "./check-engine.ts";
import { createContainer } from "./create-container.ts";
import { DockerContainer } from "./docker-container.ts";
import { DockerSupplies } from "./docker-supplies.ts";
import type { EngineAddress } from "./engine-address.ts";
import { engineError, statusOf } from "./engine-error.ts";
import { Engine } from "./engine.ts";
import { KnownEngine } from "./known-engine.ts";
import { LABELS, type Owner, RUNTIME, areOurs, refOf } from "./labels.ts";
import { listOurs } from "./list-containers.ts";

/** An engine that is busy with other containers needs seconds; one that hangs never answers. */
const CREATE_MS = 120_000;

/** Engine of a runtime, and whose its containers are. */
export interface DockerRuntimeOptions {
  /**
   * Name of the host in the labels of its containers: the same after a restart, another for another host on the same
   * engine. Default: this user on this machine.
   */
  hostId?: string;
  /**
   * Address of the engine. Default: where the docker CLI would look (DOCKER_HOST, the current context, the default
   * socket).
   */
  address?: EngineAddress;
  /** Whether to use an engine that cannot limit memory, CPU or processes. Default: false. */
  allowWeakLimits?: boolean;
  /** Logger for containers that could not be removed in the background. A sweep has to remove them. */
  logger?: { warn(fields: object, message: string): void };
  /** Source of chance, from 0 to below 1. Default: Math.random. */
  random?: () => number;
}

/** Runtime on a Docker engine. It finds its containers by their labels. Disposing of it does not end containers. */
export class DockerRuntime implements Runtime {
  readonly name = RUNTIME;
  readonly #engine: Engine;
  readonly #knownEngine: KnownEngine;
  readonly #owner: Owner;
  readonly #allowWeakLimits: boolean;
  readonly #random: () => number;
  readonly #background: BackgroundTasks;
  readonly #underWay = new Set<string>();
  readonly #closing = new AbortController();
  readonly supplies: DockerSupplies;

  constructor(options: DockerRuntimeOptions = {}) {
    const { hostId = defaultHostId(), address, allowWeakLimits = false, logger, random = Math.random } = options;
    this.#engine = new Engine(address);
    this.#knownEngine = new KnownEngine(this.#engine);
    this.#owner = { hostId, version: VERSION };
    this.#allowWeakLimits = allowWeakLimits;
    this.#random = random;
    this.#background = new BackgroundTasks((error) => logger?.warn({ err: error }, "container not removed"));
    this.supplies = new DockerSupplies({
      engine: this.#engine,
      owner: this.#owner,
      background: this.#background,
      underWay: this.#underWay,
      closing: this.#closing.signal,
    });
  }

  check({ signal }: { signal: AbortSignal }): Promise<RuntimeHealth> {
    return checkEngine(this.#engine, { signal: this.#alive(signal), allowWeakLimits: this.#allowWeakLimits });
  }

  async inspectImage(image: string, { signal }: { signal: AbortSignal }): Promise<ImageFacts | undefined> {
    const alive = this.#alive(signal);
    return await this.#ask(`The Docker engine did not show the image ${image}`, alive, async () => {
      const { Id: id, Created, Config } = await this.#engine.inspectImage(image, { signal: alive });
      return { id, createTimeMs: Date.parse(Created), labels: Config?.Labels ?? {} };
    });
  }

  async create(
    shape: ContainerShape,
    { signal, onProgress }: { signal: AbortSignal; onProgress?: (progress: CreateProgress) => void },
  ): Promise<Container> {
    const context = {
      engine: this.#engine,
      knownEngine: this.#knownEngine,
      owner: this.#owner,
      allowWeakLimits: this.#allowWeakLimits,
      random: this.#random,
      background: this.#background,
      underWay: this.#underWay,
    };
    const slow = new AbortController();
    const timer = setTimeout(() => slow.abort(createTimedOut()), CREATE_MS);
    const inTime = AbortSignal.any([this.#alive(signal), slow.signal]);
    try {
      const ref = await createContainer(context, shape, { signal: inTime, onProgress });
      return DockerContainer.watch(this.#engine, ref, this.#closing.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  async adopt(ref: ContainerRef, { signal }: { signal: AbortSignal }): Promise<Container | undefined> {
    if (ref.version !== 1 || ref.runtime !== RUNTIME) return undefined;
    const alive = this.#alive(signal);
    const found = await this.#ask(`The Docker engine did not show the container ${ref.id}`, alive, () =>
      this.#engine.inspectContainer(ref.id, { signal: alive }),
    );
    if (found === undefined || !areOurs(found.Config.Labels ?? {})) return undefined;
    return DockerContainer.watch(this.#engine, refOf(found.Id), this.#closing.signal);
  }

  async list({ everyHost = false, signal }: { everyHost?: boolean; signal: AbortSignal }): Promise<ListedContainer[]> {
    const alive = this.#alive(signal);
    // By the label that every container of ours has; an engine filter shows nothing else of those that are not its own.
    const label = everyHost ? LABELS.uid : `${LABELS.host}=${this.#owner.hostId}`;
    const containers = await this.#ask("The Docker engine did not list containers", alive, () =>
      listOurs(this.#engine, label, { signal: alive }),
    );
    return (containers ?? []).flatMap(({ key, ...listed }) => (this.#underWay.has(key) ? [] : listed));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new AppError("RUNTIME_UNAVAILABLE", "The Docker runtime is closed."));
    await this.#background.settled();
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

function createTimedOut(): AppError {
  return new AppError("CONTAINER_CREATE_TIMED_OUT", `No container was started within ${CREATE_MS / 1000} s.`, {
    retryable: true,
    help: "The engine is overloaded or hangs: `docker info` shows whether it answers.",
  });
}
