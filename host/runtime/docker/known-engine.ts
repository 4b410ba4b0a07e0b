import type { Engine, EngineInfo } from "./engine.ts";

/** An engine seldom learns or forgets what it can; a container that it gives with less says so anyway. */
const VALID_MS = 60_000;

/** What the engine says of itself. Asking takes it 15 ms and more, so the answer is kept for a minute. */
export class KnownEngine {
  readonly #engine: Engine;
  #info: EngineInfo = {};
  #validUntilMs = -Infinity;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Rejects with the engine's error; that is not kept. */
  async info(options: { signal: AbortSignal }): Promise<EngineInfo> {
    if (performance.now() < this.#validUntilMs) return this.#info;
    this.#info = await this.#engine.info(options);
    this.#validUntilMs = performance.now() + VALID_MS;
    return this.#info;
  }
}
