import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { Container, ContainerExit, ContainerRef } from "../runtime.ts";
import { dialAgent } from "./dial-agent.ts";
import { statusOf } from "./engine-error.ts";
import type { Engine } from "./engine.ts";
import { watchExit } from "./exit-watch.ts";
import { removeContainer } from "./remove-container.ts";

/**
 * Removal destroys what can be known of the end, so that is read first; but not at any price: twice
 * this and the removal's ten seconds are the fifteen that a dispose may take.
 */
const FACTS_MS = 2_500;

/** Container of ours on a Docker engine. */
export class DockerContainer implements Container {
  readonly ref: ContainerRef;
  readonly exited: Promise<ContainerExit>;
  readonly #engine: Engine;
  readonly #closed: AbortSignal;
  #disposal: Promise<void> | undefined;

  private constructor(
    engine: Engine,
    ref: ContainerRef,
    watched: { closed: AbortSignal; exited: Promise<ContainerExit> },
  ) {
    this.ref = ref;
    this.exited = watched.exited;
    this.#engine = engine;
    this.#closed = watched.closed;
  }

  /** Begins to watch over a container. `closed` ends that; `exited` stays pending then. */
  static watch(engine: Engine, ref: ContainerRef, closed: AbortSignal): DockerContainer {
    return new DockerContainer(engine, ref, { closed, exited: watchExit(engine, ref.id, closed) });
  }

  async dial({ signal }: { signal: AbortSignal }): Promise<Duplex> {
    const target = { engine: this.#engine, id: this.ref.id, exited: this.exited };
    return await dialAgent(target, { signal: AbortSignal.any([signal, this.#closed]) });
  }

  async memoryUse(options: { signal: AbortSignal }): Promise<number | undefined> {
    const { memory_stats: memory } = await this.#engine.containerStats(this.ref.id, options);
    // As `docker stats` counts it: by the names of cgroups of both versions.
    const idle = memory?.stats?.["total_inactive_file"] ?? memory?.stats?.["inactive_file"] ?? 0;
    return memory?.usage === undefined ? undefined : memory.usage - idle;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#dispose().catch((error: unknown) => {
      this.#disposal = undefined; // It may work next time.
      throw error;
    });
    return this.#disposal;
  }

  async #dispose(): Promise<void> {
    const facts = AbortSignal.timeout(FACTS_MS);
    // A kill that fails does not matter: the removal kills, too, and tells why it cannot.
    await this.#kill(facts)
      .then(
        () => Promise.race([this.exited, sleep(FACTS_MS, undefined, { signal: this.#closed, ref: false })]),
        () => {},
      )
      .catch(() => {});
    await removeContainer(this.#engine, this.ref.id);
  }

  /** Fine if it has ended already. */
  async #kill(signal: AbortSignal): Promise<void> {
    try {
      await this.#engine.killContainer(this.ref.id, { signal });
    } catch (error) {
      const status = statusOf(error);
      if (status !== 404 && status !== 409) throw error;
    }
  }
}
