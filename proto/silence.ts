import { afterStandstill } from "./running-time.ts";

export interface SilenceOptions {
  /** Without a byte for so long the other end is asked for one (ms). */
  pingMs: number;
  /** Without a byte for so long after that it is taken for dead (ms). */
  answerMs: number;
}

/** Of an HTTP/2 session, what is needed to watch it. */
export interface Watched {
  readonly destroyed: boolean;
  readonly socket: { readonly bytesRead: number };
  ping(callback: () => void): unknown;
  once(event: "close", listener: () => void): unknown;
}

/**
 * Watches a connection for silence and calls back once it is taken for dead. Every byte that arrives is a sign of life, and
 * only the time counts in which this process ran: one that waits for a processor, or has much to do, must not blame the other.
 */
export function watchSilence(session: Watched, options: SilenceOptions, onDead: () => void): void {
  const progress = () => (session.destroyed ? 0 : session.socket.bytesRead);
  let cancel = () => {};
  const listen = () => {
    cancel = afterStandstill({ ms: options.pingMs, progress }, () => {
      if (session.destroyed) return;
      const asked = progress();
      session.ping(() => {});
      cancel = afterStandstill({ ms: options.answerMs, progress }, () => (progress() === asked ? onDead() : listen()));
    });
  };
  listen();
  session.once("close", () => cancel());
}
