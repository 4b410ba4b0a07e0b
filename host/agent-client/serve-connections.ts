import type { Duplex } from "node:stream";
import { AcceptConnectionsResponse_Listener as Listener } from "../../proto/index.ts";
import { type AgentClient } from "./agent-connection.ts";
import { TunnelDuplex } from "./tunnel-duplex.ts";

/** Where a container's connections go. */
export interface ConnectionSink {
  /** Takes over a connection from Claude's model listener, from its proxy or from git's listener. */
  accept(listener: "model" | "proxy" | "git", connection: Duplex): void;
}

/** Gives every connection that the agent announces to the sink. Rejects when the call is lost or aborted. */
export async function serveConnections(client: AgentClient, sink: ConnectionSink, signal: AbortSignal): Promise<void> {
  for await (const { connectionId, listener } of client.acceptConnections({}, { signal })) {
    // The first message only says that the agent listens.
    if (connectionId === "") continue;
    const connection = new TunnelDuplex(client, connectionId);
    // Whoever reads or writes sees the error too; without a listener it would end the process.
    connection.on("error", () => {});
    if (listener === Listener.MODEL) sink.accept("model", connection);
    else if (listener === Listener.PROXY) sink.accept("proxy", connection);
    else if (listener === Listener.GIT) sink.accept("git", connection);
    else connection.destroy();
  }
}
