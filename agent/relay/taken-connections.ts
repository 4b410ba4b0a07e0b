import { afterRunning, AppError } from "../../proto/index.ts";
import type { RelayedConnection } from "./relayed-connection.ts";

/** Connections that have ended well and whose host may not know it yet. A host needs one round trip for it. */
const MAX_ENDED = 64;

export interface TakenConnectionsOptions {
  /** How long a resumable connection that has lost its call waits for another. */
  keepMs: number;
  /** A connection is cut that its program has not given up. */
  onCut(): void;
}

/** One call's hold on a connection, until disposed of. Then a connection that is not resumable is cut, unless it has ended well. */
export interface Carriage extends Disposable {
  readonly connection: RelayedConnection;
  /** Aborted with the error when a newer call carries the connection. */
  readonly signal: AbortSignal;
  /** Cuts the connection, also a resumable one. */
  cut(): void;
}

interface Taken {
  readonly connection: RelayedConnection;
  call: AbortController | undefined;
  /** Its host is gone. */
  orphaned: boolean;
  forgetLater(): void;
}

/** The connections that a host has taken: each is carried by one call, a resumable one by one after the other. */
export class TakenConnections {
  readonly #options: TakenConnectionsOptions;
  readonly #byId = new Map<string, Taken>();

  constructor(options: TakenConnectionsOptions) {
    this.#options = options;
  }

  /** A connection that was taken and may be carried on. */
  find(id: string): RelayedConnection | undefined {
    return this.#byId.get(id)?.connection;
  }

  /** Begins to carry a connection; the call before is told that it does so no more. */
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

  /** Cuts those that wait and are not among these, and lets the others of them not wait any more. */
  keepOnly(ids: readonly string[]): void {
    const kept = new Set(ids);
    for (const taken of [...this.#byId.values()]) {
      taken.orphaned = !kept.has(taken.connection.id);
      if (taken.orphaned && taken.call === undefined) this.#forget(taken);
    }
  }

  /** Waits for nobody any more. */
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
