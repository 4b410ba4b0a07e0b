import { create } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import { AppError, asAppError, ContainerProgressSchema, Phase, Session_State } from "../../proto/index.ts";
import type { Container, ContainerRef, CreateProgress, Runtime } from "../runtime/runtime.ts";
import type { SessionStore } from "../store/session-store.ts";
import type { ContainerLimits } from "./container-limits.ts";
import type { RuntimeHealth } from "./runtime-health.ts";
import type { SessionLog } from "./session-log.ts";
import type { EnterOptions, SessionQueue } from "./session-queue.ts";
import { sleep } from "./sleep.ts";
import { TIMEOUTS } from "./timeouts.ts";

/** What a runtime's own words are in a session's timeline; a word that is not here is told by its message alone. */
const PHASES: Readonly<Record<string, Phase>> = {
  image: Phase.IMAGE,
  create: Phase.CREATE,
  start: Phase.START,
};

export interface ContainerSourceOptions extends Pick<EnterOptions, "onPosition"> {
  limits: ContainerLimits;
  log: SessionLog;
  store: SessionStore;
  runtime: Runtime;
  queue: SessionQueue;
  health: RuntimeHealth;
  logger: Logger;
  /** Told what it waits for where no event says it, as an engine that is away; with nothing once it goes on. */
  onWaiting?: (reason: string) => void;
  /** A host before this one has had the session. Default false. */
  resumed?: boolean;
  /** Aborted when the session is to end: no container is made any more. */
  stop: AbortSignal;
  /** Aborted when the container is to go at once. */
  kill: AbortSignal;
}

/** Where one session's container comes from. Holds its place among those that run; the container is the caller's. */
export class ContainerSource implements Disposable {
  readonly #options: ContainerSourceOptions;
  #place: Disposable | undefined;

  constructor(options: ContainerSourceOptions) {
    this.#options = options;
  }

  [Symbol.dispose](): void {
    this.#place?.[Symbol.dispose]();
  }

  /** The container that the host before us left. Undefined: none, so that the session starts over. */
  async adopt(): Promise<Container | undefined> {
    const { limits, queue, resumed } = this.#options;
    const container = resumed === true ? await this.#find() : undefined;
    if (container !== undefined) this.#place = queue.take(limits.memoryBytes);
    return container;
  }

  async #find(): Promise<Container | undefined> {
    const { log, store, runtime, kill: signal } = this.#options;
    const known = store.getContainerRef(log.sessionId);
    // One whose create was not answered in time has not been given the session: nobody holds it.
    if (known === undefined) return undefined;
    return await this.#whileRuntimeWorks(async () => {
      const container = await runtime.adopt(JSON.parse(known) as ContainerRef, { signal });
      if (container === undefined && store.getResult(log.sessionId) === undefined) throw goneMeanwhile();
      return container;
    });
  }

  /** Does it again, once the runtime is back, for as long as that is away. */
  async #whileRuntimeWorks<T>(work: () => Promise<T>): Promise<T> {
    const { health, kill } = this.#options;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        const known = asAppError(error);
        if (known.reason !== "RUNTIME_UNAVAILABLE" || kill.aborted) throw error;
        await this.#waiting(known, health.returned(known, kill));
      }
    }
  }

  async #waiting(error: AppError, returned: Promise<void>): Promise<void> {
    const { onWaiting } = this.#options;
    onWaiting?.(error.toSentence());
    try {
      await returned;
    } finally {
      onWaiting?.("");
    }
  }

  /** Waits for a place, unless it has one, and creates the container. */
  async create(): Promise<Container> {
    const { log, limits, store, queue, logger, stop: signal, onPosition } = this.#options;
    this.#place ??= await queue.enter({ memoryBytes: limits.memoryBytes, signal, onPosition });
    log.state(Session_State.PREPARING);
    const container = await this.#tryCreate();
    const { id } = container.ref;
    store.putContainerRef(log.sessionId, JSON.stringify(container.ref));
    log.append({
      case: "containerProgress",
      value: create(ContainerProgressSchema, { message: "Container started.", containerId: id }),
    });
    log.phase(Phase.DIAL);
    logger.info({ containerId: id }, "container started");
    return container;
  }

  async #tryCreate(): Promise<Container> {
    const { log, limits, runtime, health, stop } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        const container = await runtime.create(limits, {
          signal: stop,
          onProgress: (progress) => this.#progress(progress),
        });
        health.succeeded();
        return container;
      } catch (error) {
        const known = asAppError(error);
        const away = known.reason === "RUNTIME_UNAVAILABLE";
        const attempts = away ? TIMEOUTS.createAttemptsWhileAway : TIMEOUTS.createAttempts;
        if (stop.aborted || !known.retryable || attempt >= attempts) throw error;
        const message = `${known.message} It is tried again.`;
        log.append({ case: "containerProgress", value: create(ContainerProgressSchema, { message }) });
        if (away) await this.#waiting(known, health.recovered(known, stop));
        else await sleep(TIMEOUTS.createRetryMs * 2 ** (attempt - 1), stop);
      }
    }
  }

  #progress({ phase, message }: CreateProgress): void {
    const known = PHASES[phase];
    if (known !== undefined) this.#options.log.phase(known);
    this.#options.log.append({ case: "containerProgress", value: create(ContainerProgressSchema, { message }) });
  }
}

function goneMeanwhile(): AppError {
  return new AppError("CONTAINER_REMOVED", "The container was removed while no host was there.", {
    help: "The changes that had been streamed were kept.",
  });
}
