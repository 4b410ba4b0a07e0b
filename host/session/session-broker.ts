import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Logger } from "pino";
import { EgressDecidedSchema, type EventBody, RetryingSchema, type SessionSpec } from "../../proto/index.ts";
import { Broker } from "../broker/broker.ts";
import type { GitCredentialSource } from "../broker/git/git-credential.ts";
import type { ModelGatewayOptions } from "../broker/model/model-gateway.ts";
import type { ServedSnapshot } from "../broker/git/snapshot-gateway.ts";
import type { TelemetryStamp } from "../broker/telemetry/stamp.ts";
import type { TelemetryGatewayOptions } from "../broker/telemetry/telemetry-gateway.ts";
import type { TrafficObserver } from "../broker/traffic.ts";
import type { WayOut } from "../broker/way-out.ts";
import { repositoryOf } from "../repository-of.ts";
import { HOST_SPANS } from "../traces/trace-ids.ts";
import { requestEvents } from "./model-answered.ts";
import { DecisionLog } from "./decision-log.ts";
import { type EgressConfig, egressRules, MAX_EGRESS_BYTES } from "./egress.ts";
import type { Budgets } from "./spending.ts";

/** Access to the model that all sessions share, and their budgets. */
export interface ModelAccess extends Pick<
  ModelGatewayOptions,
  "endpoint" | "credentials" | "policy" | "fallbackModel"
> {
  budgets: Budgets;
}

/** Access to repositories that all sessions share. */
export interface GitAccess {
  credentials: GitCredentialSource;
  /** URIs of repositories that a session may reach beside its own. Only those on the same server count. */
  repositories: readonly string[];
  /** See GitGatewayOptions. */
  pushRefs: readonly string[];
}

/** Access to the world outside that the host gives every session. */
export interface OutsideAccess {
  model: ModelAccess;
  git: GitAccess;
  egress: EgressConfig;
  /** Way out of the user's network. Default: directly. */
  wayOut?: WayOut | undefined;
  /** Bytes that one session may move, both ways together. Default: 16 GiB. */
  maxEgressBytes?: number | undefined;
  /** Takes Claude Code's own telemetry. Default: Claude Code sends none. */
  telemetry?: Pick<TelemetryGatewayOptions, "push" | "held"> | undefined;
  /** Called with what passes the brokers. Default: nobody counts. */
  onTraffic?: TrafficObserver | undefined;
}

/** Session that a broker serves, and what it may reach. */
export interface SessionBrokerOptions extends OutsideAccess, Pick<ModelGatewayOptions, "spending" | "onReach"> {
  spec: SessionSpec;
  /** Snapshot that the session starts with. Undefined: it starts with none. */
  snapshot: ServedSnapshot | undefined;
  sessionId: string;
  /** Trace that the session belongs to. */
  traceId: string;
  logger: Logger;
  /** Takes what the broker does, as events. Must not throw. */
  tell: (event: EventBody) => void;
  /** Signal that is aborted when the container is left: its decisions are told no more. */
  leaving: AbortSignal;
}

/**
 * Creates the broker of one session, which gives what both its spec and the host allow. Retries, and decisions as DecisionLog
 * chooses them, are told as events. The caller disposes of it.
 */
export function createSessionBroker(options: SessionBrokerOptions): Broker {
  const { spec, snapshot, model, git, egress, wayOut, maxEgressBytes = MAX_EGRESS_BYTES } = options;
  const { spending, onReach, onTraffic, logger, tell, leaving, telemetry } = options;
  const { endpoint, credentials, policy, fallbackModel } = model;
  const decisions = new DecisionLog();
  const eventOf = requestEvents(options.traceId);
  return new Broker({
    model: {
      endpoint,
      credentials,
      policy,
      fallbackModel,
      spending,
      onReach,
      onRequest(request) {
        const event = eventOf(request);
        if (event !== undefined) tell(event);
      },
      onRetry: ({ delayMs, ...retry }) =>
        tell({ case: "retrying", value: create(RetryingSchema, { ...retry, delay: durationFromMs(delayMs) }) }),
    },
    git: { ...git, snapshot, repositories: repositoriesOf(spec, git) },
    proxy: { maxEgressBytes },
    telemetry: telemetry && {
      push: (kind, body) => telemetry.push(kind, body),
      held: telemetry.held,
      stamp: telemetryStamp(options),
    },
    egress: egressRules(spec, egress),
    wayOut,
    logger,
    onTraffic,
    onDecision: (decision) => {
      const told = leaving.aborted ? undefined : decisions.next(decision);
      if (told !== undefined) tell({ case: "egressDecided", value: create(EgressDecidedSchema, told) });
    },
  });
}

/** Says of telemetry what the host knows of its session. */
function telemetryStamp({ sessionId, traceId, spec }: SessionBrokerOptions): TelemetryStamp {
  const attributes = {
    "service.name": "claude-code",
    "claudecluster.session.id": sessionId,
    "claudecluster.repository": repositoryOf(spec),
  };
  return { traceId, hostSpans: HOST_SPANS, attributes };
}

/** Returns a session's own repository and those on the same server: a session's git asks for no other server. */
function repositoriesOf({ repository }: SessionSpec, git: GitAccess): string[] {
  if (repository === undefined || repository.snapshot !== undefined) return [];
  const { origin } = new URL(repository.uri);
  return [repository.uri, ...git.repositories.filter((other) => new URL(other).origin === origin)];
}
