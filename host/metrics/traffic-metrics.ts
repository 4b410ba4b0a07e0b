import { knownModel } from "../broker/model/model-prices.ts";
import type { TrafficFact, TrafficObserver } from "../broker/traffic.ts";
import type { Meters } from "./meters.ts";

/** Counts what passes the brokers, until it is disposed of. */
export function observeTraffic(traffic: Set<TrafficObserver>, meters: Meters): Disposable {
  const observe = (fact: TrafficFact) => count(fact, meters);
  traffic.add(observe);
  return { [Symbol.dispose]: () => void traffic.delete(observe) };
}

function count(fact: TrafficFact, meters: Meters): void {
  switch (fact.kind) {
    case "decision": {
      const decision = fact.allowed ? "allowed" : "refused";
      meters.add("claudecluster_egress_decisions_total", 1, { gateway: fact.gateway, decision });
      if (fact.push) meters.add("claudecluster_pushes_total", 1, { decision });
      break;
    }
    case "modelRequest": {
      const model = knownModel(fact.model);
      meters.add("claudecluster_model_requests_total", 1, { model, status: nameOf(fact.status) });
      meters.record("claudecluster_model_answer_delay_seconds", fact.elapsedMs / 1000, { model });
      break;
    }
    case "modelRetry":
      meters.add("claudecluster_model_retries_total", 1, { status: nameOf(fact.status) });
      break;
    case "modelUsage": {
      const { usage } = fact;
      const model = knownModel(fact.model);
      const tokens = {
        input: usage.inputTokenCount,
        output: usage.outputTokenCount,
        cache_write: usage.cacheWriteTokenCount,
        cache_read: usage.cacheReadTokenCount,
      };
      for (const [kind, used] of Object.entries(tokens)) {
        if (used > 0n) meters.add("claudecluster_model_tokens_total", Number(used), { model, kind });
      }
      meters.add("claudecluster_model_cost_usd_total", usage.costUsd, { model });
      break;
    }
    case "telemetryDropped":
      meters.add("claudecluster_telemetry_dropped_total", 1, { kind: "claude" });
      break;
    case "bytes":
      meters.add("claudecluster_egress_bytes_total", fact.count, { gateway: fact.gateway });
      break;
    default:
      fact satisfies never;
  }
}

function nameOf(status: number): string {
  return status === 0 ? "none" : String(status);
}
