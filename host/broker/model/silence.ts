/** How long an endpoint may say nothing. */
export interface SilenceLimits {
  /** Then it is told, in ms. */
  noticeMs: number;
  /** Then a request whose answer is streamed is given up, in ms. */
  streamedMs: number;
  /** The same of an answer that comes whole: the model may take all of that time for it. */
  wholeMs: number;
}

/** A stream has pings several times a minute; a slow model of one's own may read a long prompt for minutes. */
export const SILENCE_LIMITS: SilenceLimits = { noticeMs: 60_000, streamedMs: 300_000, wholeMs: 900_000 };

/** Tells when nothing of an answer has come for a while, once, and when something comes again. */
export class Silence implements Disposable {
  readonly #tell: (silent: boolean) => void;
  readonly #timer: NodeJS.Timeout;
  #silent = false;

  constructor(noticeMs: number, tell: (silent: boolean) => void) {
    this.#tell = tell;
    this.#timer = setTimeout(() => tell((this.#silent = true)), noticeMs);
  }

  /** Something has come. */
  end(): void {
    this.#timer.refresh();
    if (this.#silent) this.#tell((this.#silent = false));
  }

  /** Looks at a piece of an answer; pings, and pieces of a line, are not what is waited for. */
  read(chunk: Buffer): void {
    if (/data:(?! *\{"type": *"ping")|^[^]{200}/.test(chunk.toString("latin1"))) this.end();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
