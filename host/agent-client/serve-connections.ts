import type { Duplex } from "node:stream";
import { AcceptConnectionsResponse_Listener as Listener } from "../../proto/index.ts";
import { type AgentClient } from "./agent-connection.ts";
import type { Tunnels } from "./tunnels.ts";

/** Receiver of a container's connections. */
export interface ConnectionSink {
  /** Takes over a connection from the listener for the model, for the proxy, or for git. */
  accept(listener: "model" | "proxy" | "git", connection: Duplex): void;
}

/** Tunnels of a session, and what ends serving. */
export interface ServeConnectionsOptions {
  signal: AbortSignal;
  /**
   * Tunnels that were left by connections to the agent before this one. They are carried on, and new ones are added.
   */
  tunnels: Tunnels;
}

/** Gives every connection that the agent announces to the sink. Rejects when the call is lost or aborted. */
export async function serveConnections(
  client: AgentClient,
  sink: ConnectionSink,
  { signal, tunnels }: ServeConnectionsOptions,
): Promise<void> {
  const resumedConnectionIds = tunnels.resume(client, { signal });
  for await (const { connectionId, listener } of client.acceptConnections({ resumedConnectionIds }, { signal })) {
    // The first message only says that the agent listens.
    if (connectionId === "") continue;
    const connection = tunnels.open(connectionId, client, { signal });
    if (connection === undefined) continue;
    if (listener === Listener.MODEL) sink.accept("model", connection);
    else if (listener === Listener.PROXY) sink.accept("proxy", connection);
    else if (listener === Listener.GIT) sink.accept("git", connection);
    else connection.destroy();
  }
}
