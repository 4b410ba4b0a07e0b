import type { Agent, AgentOptions, Server } from "node:http";
import type { Duplex } from "node:stream";
import type { Logger } from "pino";
import { createProxyGateway, type ProxyGatewayOptions } from "./egress/proxy-gateway.ts";
import type { EgressDecision } from "./egress-decision.ts";
import type { EgressRules } from "./egress-rules.ts";
import { createGitGateway, type GitGatewayOptions } from "./git/git-gateway.ts";
import { createModelGateway, type ModelGatewayOptions } from "./model/model-gateway.ts";
import { telemetryGateway, type TelemetryGatewayOptions } from "./telemetry/telemetry-gateway.ts";
import type { GatewayName, TrafficObserver } from "./traffic.ts";
import { WayOut } from "./way-out.ts";

/** Connections of one session at a time; a container that opens more is up to no good. */
const MAX_CONNECTIONS = 256;
/** Requests that one session has under way; Claude has a handful, the rest wait. */
const MAX_REQUESTS = 64;

/** Options of a gateway that the broker sets by itself, or for all of them. */
type Shared = "agents" | "wayOut" | "egress" | "resolve" | "logger" | "onDecision" | "onBytes" | "own";

/** Options of a broker: those of each gateway, which no other gateway is given, and what they share. */
export interface BrokerOptions {
  model: Omit<ModelGatewayOptions, Shared | "onAnswer">;
  git: Omit<GitGatewayOptions, Shared>;
  proxy: Omit<ProxyGatewayOptions, Shared>;
  /** Telemetry of Claude Code's. Undefined: none is taken. */
  telemetry?: Pick<TelemetryGatewayOptions, "stamp" | "push" | "held"> | undefined;
  egress: EgressRules;
  /** Way out of the user's network. Default: directly. */
  wayOut?: WayOut | undefined;
  logger: Logger;
  /** Called with every decision of any gateway. */
  onDecision: (decision: EgressDecision) => void;
  /** Called with what the host counts. Default: nobody counts. */
  onTraffic?: TrafficObserver | undefined;
}

/**
 * Gate of one session to everything outside: the model's API and the repository with the user's credentials, and the
 * listed hosts. It owns the connections that it has accepted and made; disposing of it ends them.
 */
export class Broker implements Disposable {
  readonly #servers: Record<GatewayName, Server>;
  readonly #agents: Agent[] = [];
  readonly #connections = new Set<Duplex>();

  constructor({ model, git, proxy, telemetry, egress, wayOut = new WayOut(), logger, ...tell }: BrokerOptions) {
    const { onDecision, onTraffic = () => {} } = tell;
    // None of one gateway's connections serves another.
    const open = (options: AgentOptions) => {
      const agents = wayOut.createAgents({ ...options, maxSockets: MAX_REQUESTS });
      this.#agents.push(agents.http, agents.https);
      return agents;
    };
    const sharedBy = (gateway: GatewayName) => ({
      wayOut,
      logger,
      onDecision: (decision: EgressDecision) => {
        onTraffic({ kind: "decision", gateway, allowed: decision.allowed, push: decision.push === true });
        onDecision(decision);
      },
      onBytes: (count: number) => onTraffic({ kind: "bytes", gateway, count }),
    });
    const onDropped = () => onTraffic({ kind: "telemetryDropped" });
    // Claude Code reaches the proxy anyway.
    const own = telemetry && telemetryGateway({ ...telemetry, onDropped });
    this.#servers = {
      model: createModelGateway({
        ...observed(model, onTraffic),
        ...sharedBy("model"),
        agents: open({ keepAlive: true }),
      }),
      proxy: createProxyGateway({ ...proxy, ...sharedBy("proxy"), own, egress, agents: open({}) }),
      git: createGitGateway({ ...git, ...sharedBy("git"), egress, agents: open({ keepAlive: true }) }),
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

/** The model gateway's options, with what it does told to whoever counts, too. */
function observed(
  model: BrokerOptions["model"],
  onTraffic: TrafficObserver,
): BrokerOptions["model"] & Pick<ModelGatewayOptions, "onAnswer"> {
  const { spending, onRetry } = model;
  return {
    ...model,
    spending: {
      reserve: (worst, options) => spending.reserve(worst, options),
      add: (usage, name) => {
        onTraffic({ kind: "modelUsage", model: name, usage });
        spending.add(usage, name);
      },
    },
    onRetry: (retry) => {
      onTraffic({ kind: "modelRetry", status: retry.httpStatus });
      onRetry(retry);
    },
    onAnswer: (answer) => onTraffic({ kind: "modelRequest", ...answer }),
  };
}
