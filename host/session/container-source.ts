import { create } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import { AppError, ContainerProgressSchema, Phase, Session_State } from "../../proto/index.ts";
import type { AgentConnection } from "../agent-client/agent-connection.ts";
import type { EnterOptions } from "../containers/container-queue.ts";
import type { Containers } from "../containers/containers.ts";
import type { Lease, LeaseOptions } from "../containers/lease.ts";
import type { Container, ContainerShape, CreateProgress } from "../runtime/runtime.ts";
import type { SessionStore } from "../store/session-store.ts";
import { PreparedAgent } from "./prepared-agent.ts";
import type { SessionLog } from "./session-log.ts";

/** What a runtime's own words are in a session's timeline; a word that is not here is told by its message alone. */
const PHASES: Readonly<Record<string, Phase>> = {
  image: Phase.IMAGE,
  build: Phase.IMAGE,
  create: Phase.CREATE,
  supply: Phase.CREATE,
  start: Phase.START,
};

/** Shape of a session's container, and where its making is told and stored. */
export interface ContainerSourceOptions
  extends Pick<EnterOptions, "onPosition">, Pick<LeaseOptions, "supply" | "preparation"> {
  shape: ContainerShape;
  log: SessionLog;
  store: SessionStore;
  containers: Containers;
  logger: Logger;
  /**
   * Called with what is waited for when no event says it, such as an engine that is away, and with nothing once it goes
   * on.
   */
  onWaiting?: (reason: string) => void;
  /** Whether an earlier host has had the session. Default: false. */
  resumed?: boolean;
  /** Signal that is aborted when the session is to end: no container is made any more. */
  stop: AbortSignal;
  /** Signal that is aborted when the container is to go at once. */
  kill: AbortSignal;
}

/**
 * Source of one session's container. It tells the session's log of it, stores which one it is, and holds its place
 * among those that run. The container is the caller's.
 */
export class ContainerSource implements Disposable {
  readonly #options: ContainerSourceOptions;
  #lease: Lease | undefined;
  /** The log says that it is being prepared. */
  #preparing = false;
  /** So is its image. */
  #building = false;

  constructor(options: ContainerSourceOptions) {
    this.#options = options;
  }

  [Symbol.dispose](): void {
    this.#lease?.[Symbol.dispose]();
  }

  /** Returns the container that an earlier host left. Undefined: there is none, and the session starts over. */
  async adopt(): Promise<Container | undefined> {
    const { log, store, containers, shape, resumed, kill: signal, preparation, onWaiting } = this.#options;
    const handle = resumed === true ? store.getContainerRef(log.sessionId) : undefined;
    if (handle === undefined) return undefined;
    this.#lease = await containers.resume(handle, shape, { signal, preparation, onWaiting });
    if (this.#lease === undefined && store.left.getResult(log.sessionId) === undefined) throw goneMeanwhile();
    const container = this.#lease?.container;
    // The host before went between storing which one it is and saying so.
    if (container !== undefined && log.session.containerId !== container.ref.id)
      this.#started(container, "Container started.");
    return container;
  }

  /** Connection to the agent of a container that had been prepared, once, for its caller. Undefined: there is none. */
  takeConnection(): AgentConnection | undefined {
    const prepared = this.#lease?.taken?.prepared;
    return prepared instanceof PreparedAgent ? prepared.take() : undefined;
  }

  /** Notes that the session has begun, and needs the processors less than before. */
  begun(): void {
    this.#lease?.begun();
  }

  /** Returns a container: one that was prepared, or a new one once there is room for it, or in the place of the one before, which must have been removed. */
  async create(): Promise<Container> {
    const {
      log,
      store,
      containers,
      shape,
      stop: signal,
      logger,
      supply,
      preparation,
      onPosition,
      onWaiting,
    } = this.#options;
    const options = { signal, supply, onWaiting, onProgress: (progress: CreateProgress) => this.#progress(progress) };
    if (this.#lease === undefined) this.#lease = await containers.lease(shape, { ...options, preparation, onPosition });
    else await this.#lease.replace(options);
    const { container, handle, taken } = this.#lease;
    store.putContainerRef(log.sessionId, handle);
    const message =
      taken === undefined
        ? "Container started."
        : `A prepared container was taken (${Math.round(taken.ageMs / 1000)} s old).`;
    this.#started(container, message);
    logger.info({ containerId: container.ref.id }, "container started");
    return container;
  }

  /** Tells which container it is. */
  #started({ ref: { id: containerId } }: Container, message: string): void {
    const { log } = this.#options;
    this.#prepare();
    log.append({ case: "containerProgress", value: create(ContainerProgressSchema, { message, containerId }) });
    log.phase(Phase.DIAL);
  }

  #prepare(): void {
    if (!this.#preparing) this.#options.log.state(Session_State.PREPARING);
    this.#preparing = true;
  }

  #progress({ phase, message }: CreateProgress): void {
    const { log } = this.#options;
    this.#prepare();
    const known = PHASES[phase];
    const building = phase === "build";
    // Its lines are many.
    if (known !== undefined && !(building && this.#building)) log.phase(known);
    this.#building = building;
    log.append({ case: "containerProgress", value: create(ContainerProgressSchema, { message, building }) });
  }
}

function goneMeanwhile(): AppError {
  return new AppError("CONTAINER_REMOVED", "The container was removed while no host was there.", {
    help: "The changes that had been streamed were kept.",
  });
}
