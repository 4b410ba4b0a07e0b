import { type MeteredUsage, Notifier } from "../../proto/index.ts";

/** What the requests under way may come to, of all sessions of a host: set aside before one is sent, until it has been counted. */
export class Reservations {
  readonly #held = new Set<{ sessionId: string; worst: MeteredUsage }>();
  readonly #ended = new Notifier();

  /** What is set aside now, for one session or, without one, for all. */
  held(sessionId?: string): MeteredUsage[] {
    const held = [...this.#held];
    return held.filter((each) => sessionId === undefined || each.sessionId === sessionId).map(({ worst }) => worst);
  }

  /** Sets aside what a request costs at most. To be disposed of once, after it has been counted. */
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

  /** Resolves when the next reservation has ended, in the order of the calls, or with the signal. */
  async nextEnd(signal: AbortSignal): Promise<void> {
    await this.#ended.next({ signal });
  }
}
