import { type MeteredUsage, Notifier } from "../../proto/index.ts";

/** Reservations of a host's budget: the most that each request under way may cost, from before it is sent until it is counted. */
export class Reservations {
  readonly #held = new Set<{ sessionId: string; worst: MeteredUsage }>();
  readonly #ended = new Notifier();

  /** Returns the reservations of one session. Without an id: of all. */
  held(sessionId?: string): MeteredUsage[] {
    const held = [...this.#held];
    return held.filter((each) => sessionId === undefined || each.sessionId === sessionId).map(({ worst }) => worst);
  }

  /** Reserves the most that a request may cost. The caller disposes of it after the request has been counted. */
  hold(sessionId: string, worst: MeteredUsage): Disposable {
    const reservation = { sessionId, worst };
    this.#held.add(reservation);
    return {
      [Symbol.dispose]: () => {
        this.#held.delete(reservation);
        this.#ended.notify();
      },
    };
  }

  /** Resolves when the next reservation has ended, or on an abort. Callers are woken in the order of their calls. */
  async nextEnd(signal: AbortSignal): Promise<void> {
    await this.#ended.next({ signal });
  }
}
