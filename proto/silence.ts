import { afterStandstill } from "./running-time.ts";

/** Times after which a silent connection is asked, and given up. */
export interface SilenceOptions {
  /** Time without a byte after which the other end is pinged (ms). */
  pingMs: number;
  /** Time without a byte after the ping until the connection is taken for dead (ms). */
  answerMs: number;
}

/** Part of an HTTP/2 session that is needed to watch it. */
export interface Watched {
  readonly destroyed: boolean;
  readonly socket: { readonly bytesRead: number };
  ping(callback: () => void): unknown;
  once(event: "close", listener: () => void): unknown;
}

/**
 * Watches a connection, and calls back once it is taken for dead. Every byte that arrives is a sign of life. Only this
 * process's running time counts: a process that waits for a processor must not blame the other end.
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
