import { once } from "node:events";
import { connect } from "node:net";
import {
  AcceptConnectionsResponse_Listener as Listener,
  AgentService,
  type TunnelRequestSchema,
  type TunnelResponseSchema,
} from "../../proto/index.ts";
import type { AgentClient, Exchange } from "./agent-client.ts";

/** Most bytes in one message of Tunnel. */
const CHUNK_BYTES = 64 * 1024;

/** Local TCP ports that an agent's connections are carried to. */
export interface Ports {
  readonly model: number;
  readonly proxy: number;
}

/** Connections that are being carried. Disposing it ends the calls. */
export interface Serving extends Disposable {
  /** Resolves once the agent has said that it is listening. */
  readonly accepted: Promise<void>;
  /** Resolves when the agent ends the call well, rejects as it has failed. */
  readonly done: Promise<void>;
}

/** Does an orchestrator's part: carries every connection that the agent announces to a local port. */
export function serveConnections(client: AgentClient, ports: Ports): Serving {
  const { method } = AgentService;
  const announcements = client.stream(method.acceptConnections);
  const accepted = Promise.withResolvers<undefined>();
  const tunnels = new Set<() => void>();
  const serve = async () => {
    for await (const { connectionId, listener } of announcements) {
      accepted.resolve(undefined);
      if (connectionId === "") continue;
      const tunnel = client.exchange(method.tunnel);
      const cancel = () => tunnel.cancel();
      tunnels.add(cancel);
      const port = listener === Listener.MODEL ? ports.model : ports.proxy;
      void carry(tunnel, connectionId, port).finally(() => tunnels.delete(cancel));
    }
  };
  const done = serve();
  done.catch((error: unknown) => accepted.reject(error));
  accepted.promise.catch(() => {});
  return {
    accepted: accepted.promise,
    done,
    [Symbol.dispose]() {
      announcements.cancel();
      for (const cancel of tunnels) cancel();
    },
  };
}

type Tunnel = Exchange<typeof TunnelRequestSchema, typeof TunnelResponseSchema>;

/** Carries one connection, each direction to its own end. What fails on one side is cut on the other. */
async function carry(tunnel: Tunnel, connectionId: string, port: number): Promise<void> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => tunnel.cancel());
  void tunnel.send({ connectionId });
  const inwards = async () => {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      for (let start = 0; start < chunk.length; start += CHUNK_BYTES) {
        await tunnel.send({ data: chunk.subarray(start, start + CHUNK_BYTES) });
      }
    }
    await tunnel.send({ end: true });
    tunnel.end();
  };
  inwards().catch(() => tunnel.cancel());
  try {
    for await (const { data, end } of tunnel) {
      if (data.length > 0 && !socket.write(data)) await Promise.race([once(socket, "drain"), once(socket, "close")]);
      if (end) socket.end();
    }
  } catch {
    // The program has gone, or the connection to the agent: the far side sees its socket close.
    socket.destroy();
  }
}
