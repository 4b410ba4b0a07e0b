import { afterRunning, AppError } from "../../proto/index.ts";
import type { RelayedConnection } from "./relayed-connection.ts";

/** Connections that have ended well and whose host may not know it yet. A host needs one round trip for it. */
const MAX_ENDED = 64;

/** Wait for another call, and what a cut calls. */
export interface TakenConnectionsOptions {
  /** Time that a resumable connection without its call waits for another (ms). */
  keepMs: number;
  /** Called when a connection is cut that its program has not given up. */
  onCut(): void;
}

/**
 * Hold of a call on a connection, until it is disposed of. Then a connection is cut that is not resumable and has not
 * ended well.
 */
export interface Carriage extends Disposable {
  readonly connection: RelayedConnection;
  /** Signal that is aborted, with the error, when a newer call carries the connection. */
  readonly signal: AbortSignal;
  /** Cuts the connection, even a resumable one. */
  cut(): void;
}

interface Taken {
  readonly connection: RelayedConnection;
  call: AbortController | undefined;
  /** Its host is gone. */
  orphaned: boolean;
  forgetLater(): void;
}

/** Connections that a host has taken. One call carries each at a time; of a resumable one another call may carry on. */
export class TakenConnections {
  readonly #options: TakenConnectionsOptions;
  readonly #byId = new Map<string, Taken>();

  constructor(options: TakenConnectionsOptions) {
    this.#options = options;
  }

  /** Returns a resumable connection that was taken. Undefined: there is none of that id. */
  find(id: string): RelayedConnection | undefined {
    return this.#byId.get(id)?.connection;
  }

  /** Begins to carry a connection. The call that carried it before is told so. */
  carry(connection: RelayedConnection, { resumable }: { resumable: boolean }): Carriage {
    const call = new AbortController();
    const before = this.#byId.get(connection.id);
    before?.forgetLater();
    before?.call?.abort(replaced(connection));
    const taken: Taken = { connection, call, orphaned: false, forgetLater: () => {} };
    if (resumable) this.#byId.set(connection.id, taken);
    return {
      connection,
      signal: call.signal,
      cut: () => this.#cut(taken),
      [Symbol.dispose]: () => {
        if (call.signal.aborted) return;
        taken.call = undefined;
        if (resumable && !taken.orphaned && !isBroken(connection)) this.#keep(taken);
        else this.#forget(taken);
      },
    };
  }

  /**
   * Cuts the waiting connections that are not among these. Of the others, those that lose their call later are cut at
   * once.
   */
  keepOnly(ids: readonly string[]): void {
    const kept = new Set(ids);
    for (const taken of [...this.#byId.values()]) {
      taken.orphaned = !kept.has(taken.connection.id);
      if (taken.orphaned && taken.call === undefined) this.#forget(taken);
    }
  }

  /** Cuts all connections that wait for a call. */
  clear(): void {
    this.keepOnly([]);
  }

  #keep(taken: Taken): void {
    taken.forgetLater = afterRunning(this.#options.keepMs, () => this.#forget(taken));
    const ended = [...this.#byId.values()].filter(({ call, connection }) => call === undefined && connection.endedWell);
    for (const oldest of ended.slice(0, -MAX_ENDED)) this.#forget(oldest);
  }

  #forget(taken: Taken): void {
    const { connection } = taken;
    taken.forgetLater();
    if (this.#byId.get(connection.id) === taken) this.#byId.delete(connection.id);
    if (connection.endedWell) connection.forget();
    else this.#cut(taken);
  }

  #cut({ connection }: Taken): void {
    if (!connection.closed && !connection.cut) this.#options.onCut();
    connection.reset();
  }
}

/** Its program has gone, or it was cut: there is nothing to carry on. */
function isBroken(connection: RelayedConnection): boolean {
  return connection.cut || (connection.closed && !connection.endedWell);
}

function replaced({ id }: RelayedConnection): AppError {
  return new AppError("TUNNEL_REPLACED", `Another call carries connection ${id} now.`, {
    metadata: { connection_id: id },
  });
}
