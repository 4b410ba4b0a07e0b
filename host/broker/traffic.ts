import type { MeteredUsage } from "../../proto/index.ts";

/** Names of the gateways of a broker. */
export const GATEWAYS = ["model", "proxy", "git"] as const;
/** Name of a gateway of a broker. */
export type GatewayName = (typeof GATEWAYS)[number];

/** Fact about what passes a broker, for the figures of the host. What a container has chosen is in none but `model`. */
export type TrafficFact =
  /** Decision of a gateway, also one that was told before. */
  | { kind: "decision"; gateway: GatewayName; allowed: boolean; push: boolean }
  /** Request to the model's endpoint whose answer begins, after this time. Status 0: the endpoint was not reached. */
  | { kind: "modelRequest"; model: string; status: number; elapsedMs: number }
  /** Attempt that failed and is followed by another. */
  | { kind: "modelRetry"; status: number }
  /** Usage of one answer. */
  | { kind: "modelUsage"; model: string; usage: MeteredUsage }
  /** Body of Claude Code's telemetry that was not passed on. */
  | { kind: "telemetryDropped" }
  /** Bytes that went out or came in. */
  | { kind: "bytes"; gateway: GatewayName; count: number };

/** Function that is called with each fact. It must not throw. */
export type TrafficObserver = (fact: TrafficFact) => void;
