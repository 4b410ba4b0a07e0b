/** Times that an endpoint may be silent. */
export interface SilenceLimits {
  /** Time after which silence is told (ms). */
  noticeMs: number;
  /** Time after which a request with a streamed answer is given up (ms). */
  streamedMs: number;
  /** Time after which a request with a whole answer is given up (ms). The model may need all of it to answer. */
  wholeMs: number;
}

/**
 * Limits for silence. A stream has pings several times a minute, but a slow model of the user's own may read a long
 * prompt for minutes.
 */
export const SILENCE_LIMITS: SilenceLimits = { noticeMs: 60_000, streamedMs: 300_000, wholeMs: 900_000 };

/**
 * Watch over an answer's silence: it tells once that nothing has come for a while, and once that something comes again.
 */
export class Silence implements Disposable {
  readonly #tell: (silent: boolean) => void;
  #timer: NodeJS.Timeout | undefined;
  #silent = false;

  private constructor(tell: (silent: boolean) => void) {
    this.#tell = tell;
  }

  /** Begins to wait: what says nothing for so long is told. */
  static start(noticeMs: number, tell: (silent: boolean) => void): Silence {
    const silence = new Silence(tell);
    silence.#timer = setTimeout(() => tell((silence.#silent = true)), noticeMs);
    return silence;
  }

  /** Notes that something has come. */
  end(): void {
    this.#timer?.refresh();
    if (this.#silent) this.#tell((this.#silent = false));
  }

  /** Looks at a piece of an answer. Pings and pieces of a line do not end the silence. */
  read(chunk: Buffer): void {
    if (/data:(?! *\{"type": *"ping")|^[^]{200}/.test(chunk.toString("latin1"))) this.end();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
