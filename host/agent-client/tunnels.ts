import type { Duplex } from "node:stream";
import { TUNNEL_WINDOW_BYTES, TunnelMemory } from "../../proto/index.ts";
import { type AgentClient } from "./agent-connection.ts";
import { TunnelDuplex } from "./tunnel-duplex.ts";

/** How long a connection out of the container waits for the agent to be reached again: as long as the agent keeps it. */
const KEEP_MS = 60_000;
/** What may have come out of a session's container and not been read yet (bytes); an honest agent sends less. */
const MAX_UNREAD_BYTES = 4 * TUNNEL_WINDOW_BYTES;

/** How many are carried at a time; an honest agent has half as many. */
const MAX_OPEN = 512;

/** Tunnels of one session. They outlive the connections to its agent. */
export class Tunnels implements Disposable {
  readonly #memory = new TunnelMemory();
  /** Also of those that are open no more. */
  readonly #unread = new TunnelMemory(MAX_UNREAD_BYTES);
  readonly #open = new Map<string, TunnelDuplex>();

  /**
   * Carries an announced connection. Returns undefined for one that is carried already, as after a lost connection to
   * the agent, and for one above what an honest agent has.
   */
  open(connectionId: string, client: AgentClient, options: { signal: AbortSignal }): Duplex | undefined {
    if (this.#open.has(connectionId) || this.#open.size >= MAX_OPEN) return undefined;
    const tunnel = new TunnelDuplex({
      connectionId,
      memory: this.#memory,
      keepMs: KEEP_MS,
      unread: this.#unread,
      onOver: () => this.#open.delete(connectionId),
    });
    this.#open.set(connectionId, tunnel);
    void tunnel.carry(client, options);
    return tunnel;
  }

  /** Carries all tunnels on by another connection. Returns their ids. */
  resume(client: AgentClient, options: { signal: AbortSignal }): string[] {
    for (const tunnel of this.#open.values()) void tunnel.carry(client, options);
    return [...this.#open.keys()];
  }

  /** Ends all of them. */
  [Symbol.dispose](): void {
    for (const tunnel of this.#open.values()) tunnel.abandon();
  }
}
