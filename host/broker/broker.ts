import type { Agent, Server } from "node:http";
import type { Duplex } from "node:stream";
import { createGitGateway, type GitGatewayOptions } from "./git-gateway.ts";
import { createModelGateway, type ModelGatewayOptions } from "./model-gateway.ts";
import { createProxyGateway, type ProxyGatewayOptions } from "./proxy-gateway.ts";
import { WayOut } from "./way-out.ts";

/** Connections of one session at a time; a container that opens more is up to no good. */
const MAX_CONNECTIONS = 256;
/** Requests that one session has under way; Claude has a handful, the rest wait. */
const MAX_REQUESTS = 64;

type GatewayName = "model" | "proxy" | "git";

export type BrokerOptions = Omit<ModelGatewayOptions, "modelAgents" | "wayOut"> &
  Omit<ProxyGatewayOptions, "agents" | "wayOut"> &
  Omit<GitGatewayOptions, "gitAgents" | "wayOut"> & {
    /** Default: directly. */
    wayOut?: WayOut | undefined;
  };

/**
 * One session's gate to everything outside: the model's API and the repository with the user's credentials, and the
 * listed hosts. Owns the connections that it has accepted and made; disposing of it ends them.
 */
export class Broker implements Disposable {
  readonly #servers: Record<GatewayName, Server>;
  readonly #agents: Agent[];
  readonly #connections = new Set<Duplex>();

  constructor(options: BrokerOptions) {
    const { wayOut = new WayOut() } = options;
    const kept = { keepAlive: true, maxSockets: MAX_REQUESTS };
    const modelAgents = wayOut.createAgents(kept);
    const agents = wayOut.createAgents({ maxSockets: MAX_REQUESTS });
    const gitAgents = wayOut.createAgents(kept);
    this.#agents = [modelAgents, agents, gitAgents].flatMap(({ http, https }) => [http, https]);
    const complete = { ...options, wayOut, modelAgents, agents, gitAgents };
    this.#servers = {
      model: createModelGateway(complete),
      proxy: createProxyGateway(complete),
      git: createGitGateway(complete),
    };
    for (const server of Object.values(this.#servers)) server.on("clientError", (_error, socket) => socket.destroy());
  }

  /** Serves a connection out of the container. */
  accept(listener: GatewayName, connection: Duplex): void {
    if (this.#connections.size >= MAX_CONNECTIONS) {
      connection.destroy();
      return;
    }
    this.#connections.add(connection);
    connection.once("close", () => this.#connections.delete(connection));
    // Node's server takes any Duplex here: https://nodejs.org/api/http.html#event-connection
    this.#servers[listener].emit("connection", connection);
  }

  [Symbol.dispose](): void {
    for (const connection of this.#connections) connection.destroy();
    for (const agent of this.#agents) agent.destroy();
  }
}
