import { missingLimits } from "./engine-limits.ts";
import type { Engine } from "./engine.ts";

/** An engine seldom learns or forgets what it can; a container that it gives with less says so anyway. */
const VALID_MS = 60_000;

/** What the engine cannot limit. Asking takes it 15 ms and more, so the answer is kept for a minute. */
export class KnownLimits {
  readonly #engine: Engine;
  #missing: string[] = [];
  #validUntilMs = -Infinity;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Rejects with the engine's error; that is not kept. */
  async missing(options: { signal: AbortSignal }): Promise<string[]> {
    if (performance.now() < this.#validUntilMs) return this.#missing;
    this.#missing = missingLimits(await this.#engine.info(options));
    this.#validUntilMs = performance.now() + VALID_MS;
    return this.#missing;
  }
}
