import { MODEL_NAMES } from "../broker/model/model-prices.ts";
import { GATEWAYS } from "../broker/traffic.ts";
import { MISSES } from "../containers/miss.ts";
import { ERROR_REASONS, Phase, Session_State } from "../../proto/index.ts";
import { FINAL_STATES, LIVE_STATES } from "../session/states.ts";

/** Value of a label for all that is not among its values. */
export const OTHER = "other";

/** Metric of the host. A value that its label does not have counts as OTHER: none comes from a container. */
export interface Metric {
  readonly kind: "counter" | "gauge" | "histogram";
  /** Whether it is a counter that is kept elsewhere, and set when metrics are read. */
  readonly kept?: true;
  /** Unit, in the words of UCUM, that the end of the name says in Prometheus's. Default: a number of things. */
  readonly unit?: "s" | "By";
  readonly help: string;
  readonly labels?: Readonly<Record<string, readonly string[]>>;
  /** Upper bounds of a histogram's buckets. */
  readonly buckets?: readonly number[];
}

/** Returns the value of a label for a member of an enum. OTHER: it has no name here, as one of a newer agent. */
export function labelOf(names: Readonly<Record<number, string>>, value: number): string {
  return names[value]?.toLowerCase() ?? OTHER;
}

const stateLabel = (state: Session_State) => labelOf(Session_State, state);

const phases = Object.values(Phase).filter((phase) => typeof phase === "string" && phase !== "UNSPECIFIED") as string[];
/** HTTP statuses of the model's endpoint that mean something here, and none: it was not reached. */
const STATUSES = "none 200 400 401 403 404 408 413 429 500 502 503 504 529".split(" ");
/** From the time of a function call to the longest session. */
const SECONDS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14_400];

/** All metrics of the host, by name. The README's table and the dashboard are checked against this. */
export const METRICS = {
  claudecluster_sessions: {
    kind: "gauge",
    help: "Live sessions, by state.",
    labels: { state: LIVE_STATES.map(stateLabel) },
  },
  claudecluster_sessions_created_total: { kind: "counter", help: "Sessions that were created." },
  claudecluster_sessions_ended_total: {
    kind: "counter",
    help: "Sessions that ended, by state.",
    labels: { state: FINAL_STATES.map(stateLabel) },
  },
  claudecluster_session_failures_total: {
    kind: "counter",
    help: "Sessions that failed, by reason.",
    labels: { reason: Object.keys(ERROR_REASONS) },
  },
  claudecluster_session_duration_seconds: {
    kind: "histogram",
    unit: "s",
    help: "Time from a session's creation to its end, by state.",
    labels: { state: FINAL_STATES.map(stateLabel) },
    buckets: SECONDS,
  },
  claudecluster_phase_duration_seconds: {
    kind: "histogram",
    unit: "s",
    help: "Time that a session spent in a phase; in the phase queued it waits for a place.",
    labels: { phase: phases.map((phase) => phase.toLowerCase()) },
    buckets: SECONDS,
  },
  claudecluster_queue_length: { kind: "gauge", help: "Sessions that wait for a place." },
  claudecluster_queue_longest_wait_seconds: {
    kind: "gauge",
    unit: "s",
    help: "Longest time that a session which is queued now has waited. 0: none is.",
  },
  claudecluster_running_limit: {
    kind: "gauge",
    help: "Sessions that run at once at most. Absent: nothing bounds them.",
  },
  claudecluster_containers_removing: { kind: "gauge", help: "Containers of ended sessions that are being removed." },
  claudecluster_pool_ready: { kind: "gauge", help: "Containers that are prepared for sessions to come." },
  claudecluster_pool_hits_total: { kind: "counter", kept: true, help: "Sessions that got a prepared container." },
  claudecluster_pool_misses_total: {
    kind: "counter",
    kept: true,
    help: "Sessions that wanted a prepared container and got none, by reason.",
    labels: { reason: MISSES },
  },
  claudecluster_engine_up: { kind: "gauge", help: "1 if the engine answers and can be used, otherwise 0." },
  claudecluster_store_bytes: { kind: "gauge", unit: "By", help: "Bytes of all that is stored of sessions." },
  claudecluster_event_lag_seconds: {
    kind: "histogram",
    unit: "s",
    help: "Time from the first event of a batch in its container until the batch is stored.",
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300],
  },
  claudecluster_model_requests_total: {
    kind: "counter",
    help: "Requests to the model that were passed on, by model and HTTP status; none: the endpoint was not reached.",
    labels: { model: MODEL_NAMES, status: STATUSES },
  },
  claudecluster_model_retries_total: {
    kind: "counter",
    help: "Attempts of such requests that failed and were followed by another, by HTTP status.",
    labels: { status: STATUSES },
  },
  claudecluster_model_answer_delay_seconds: {
    kind: "histogram",
    unit: "s",
    help: "Time from such a request, with its retries, until its answer begins.",
    labels: { model: MODEL_NAMES },
    buckets: SECONDS,
  },
  claudecluster_model_tokens_total: {
    kind: "counter",
    help: "Tokens that answers of the model used, by model and kind.",
    labels: { model: MODEL_NAMES, kind: ["input", "output", "cache_write", "cache_read"] },
  },
  claudecluster_model_cost_usd_total: {
    kind: "counter",
    help: "Cost of these, at list prices.",
    labels: { model: MODEL_NAMES },
  },
  claudecluster_daily_budget_left_usd: { kind: "gauge", help: "What is left of the day's budget. Absent: no bound." },
  claudecluster_daily_budget_left_tokens: { kind: "gauge", help: "Tokens that are left of it. Absent: no bound." },
  claudecluster_daily_budget_left_requests: { kind: "gauge", help: "Requests that are left of it. Absent: no bound." },
  claudecluster_egress_decisions_total: {
    kind: "counter",
    help: "Connections and requests of sessions that were allowed or refused, by gateway.",
    labels: { gateway: GATEWAYS, decision: ["allowed", "refused"] },
  },
  claudecluster_egress_bytes_total: {
    kind: "counter",
    unit: "By",
    help: "Bytes that went out and came in for sessions, together, by gateway.",
    labels: { gateway: GATEWAYS },
  },
  claudecluster_pushes_total: {
    kind: "counter",
    help: "Refs that sessions asked to push, by decision.",
    labels: { decision: ["allowed", "refused"] },
  },
  claudecluster_telemetry_dropped_total: {
    kind: "counter",
    help: "Spans of sessions, and bodies of Claude Code's telemetry, that were not pushed.",
    labels: { kind: ["span", "claude"] },
  },
} as const satisfies Record<`claudecluster_${string}`, Metric>;

/** Names of the metrics of one kind, or of any. */
export type MetricName<Kind extends Metric["kind"] = Metric["kind"]> = {
  [Name in keyof typeof METRICS]: (typeof METRICS)[Name]["kind"] extends Kind ? Name : never;
}[keyof typeof METRICS];

/** Names of the metrics that are set when they are read. */
export type SetName = {
  [Name in keyof typeof METRICS]: (typeof METRICS)[Name] extends { kind: "gauge" } | { kept: true } ? Name : never;
}[keyof typeof METRICS];

/** Labels of a metric, each with a value. */
export type LabelsOf<Name extends MetricName> = (typeof METRICS)[Name] extends { labels: infer Labels }
  ? { [Label in keyof Labels]: string }
  : Record<never, string>;
