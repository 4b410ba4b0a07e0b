import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Logger } from "pino";
import { EgressDecidedSchema, type EventBody, RetryingSchema, type SessionSpec } from "../../proto/index.ts";
import { Broker } from "../broker/broker.ts";
import type { GitCredentialSource } from "../broker/git/git-credential.ts";
import type { ModelGatewayOptions } from "../broker/model/model-gateway.ts";
import type { ServedSnapshot } from "../broker/git/snapshot-gateway.ts";
import type { WayOut } from "../broker/way-out.ts";
import { DecisionLog } from "./decision-log.ts";
import { type EgressConfig, egressRules, MAX_EGRESS_BYTES } from "./egress.ts";
import type { Budgets } from "./spending.ts";

/** How sessions reach the model, and what they may use of it. */
export interface ModelAccess extends Pick<
  ModelGatewayOptions,
  "endpoint" | "credentials" | "policy" | "fallbackModel"
> {
  budgets: Budgets;
}

/** How sessions reach their repositories. */
export interface GitAccess {
  credentials: GitCredentialSource;
  /** URIs beside the session's own; those on the same server count. */
  repositories: readonly string[];
  /** See GitGatewayOptions. */
  pushRefs: readonly string[];
}

/** What the host gives every session of the world outside. */
export interface OutsideAccess {
  model: ModelAccess;
  git: GitAccess;
  egress: EgressConfig;
  /** Default: directly. */
  wayOut?: WayOut | undefined;
  /** Bytes that one session may move there and back. Default 16 GiB. */
  maxEgressBytes?: number | undefined;
}

/** What a session's broker is made from. */
export interface SessionBrokerOptions extends OutsideAccess, Pick<ModelGatewayOptions, "spending" | "onReach"> {
  spec: SessionSpec;
  /** What the session starts with, where that is a snapshot. */
  snapshot: ServedSnapshot | undefined;
  logger: Logger;
  /** Told what the broker does, as events. Does not throw. */
  tell: (event: EventBody) => void;
  /** Aborted when the container is left: what it still asks for is told no more. */
  leaving: AbortSignal;
}

/** Returns the broker of one session: what its spec and the host allow, each retry and each decision told as an event. */
export function createSessionBroker(options: SessionBrokerOptions): Broker {
  const { spec, snapshot, model, git, egress, wayOut, maxEgressBytes = MAX_EGRESS_BYTES } = options;
  const { spending, onReach, logger, tell, leaving } = options;
  const { endpoint, credentials, policy, fallbackModel } = model;
  const decisions = new DecisionLog();
  return new Broker({
    model: {
      endpoint,
      credentials,
      policy,
      fallbackModel,
      spending,
      onReach,
      onRetry: ({ delayMs, ...retry }) =>
        tell({ case: "retrying", value: create(RetryingSchema, { ...retry, delay: durationFromMs(delayMs) }) }),
    },
    git: { ...git, snapshot, repositories: repositoriesOf(spec, git) },
    proxy: { maxEgressBytes },
    egress: egressRules(spec, egress),
    wayOut,
    logger,
    onDecision: (decision) => {
      const told = leaving.aborted ? undefined : decisions.next(decision);
      if (told !== undefined) tell({ case: "egressDecided", value: create(EgressDecidedSchema, told) });
    },
  });
}

/** Returns a session's own repository and those on the same server: a session's git asks for no other server. */
function repositoriesOf({ repository }: SessionSpec, git: GitAccess): string[] {
  if (repository === undefined || repository.snapshot !== undefined) return [];
  const { origin } = new URL(repository.uri);
  return [repository.uri, ...git.repositories.filter((other) => new URL(other).origin === origin)];
}
