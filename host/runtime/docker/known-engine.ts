import type { Engine, EngineInfo } from "./engine.ts";

/** An engine seldom learns or forgets what it can; a container that it gives with less says so anyway. */
const VALID_MS = 60_000;

/** Facts that the engine tells of itself, kept for a minute: asking takes 15 ms and more. */
export class KnownEngine {
  readonly #engine: Engine;
  #info: EngineInfo = {};
  #validUntilMs = -Infinity;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Returns the facts. Rejects with the engine's error, which is not kept. */
  async info(options: { signal: AbortSignal }): Promise<EngineInfo> {
    if (performance.now() < this.#validUntilMs) return this.#info;
    this.#info = await this.#engine.info(options);
    this.#validUntilMs = performance.now() + VALID_MS;
    return this.#info;
  }
}
