import { ERROR_REASONS, Phase, Session_State } from "../../proto/index.ts";
import { FINAL_STATES, LIVE_STATES } from "../session/states.ts";

/** Value of a label for all that is not among its values. */
export const OTHER = "other";

/** Metric of the host. A value that its label does not have counts as OTHER: none comes from a container. */
export interface Metric {
  readonly kind: "counter" | "gauge" | "histogram";
  /** Unit, in the words of UCUM, that the end of the name says in Prometheus's. Default: a number of things. */
  readonly unit?: "s" | "By";
  readonly help: string;
  readonly labels?: Readonly<Record<string, readonly string[]>>;
  /** Upper bounds of a histogram's buckets. */
  readonly buckets?: readonly number[];
}

const stateName = (state: Session_State) => Session_State[state].toLowerCase();
const phases = Object.values(Phase).filter((phase) => typeof phase === "string" && phase !== "UNSPECIFIED") as string[];
/** From the time of a function call to the longest session. */
const SECONDS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14_400];

/** All metrics of the host, by name. The README's table and the dashboard are checked against this. */
export const METRICS = {
  claudecluster_sessions: {
    kind: "gauge",
    help: "Live sessions, by state.",
    labels: { state: LIVE_STATES.map(stateName) },
  },
  claudecluster_sessions_created_total: { kind: "counter", help: "Sessions that were created." },
  claudecluster_sessions_ended_total: {
    kind: "counter",
    help: "Sessions that ended, by state.",
    labels: { state: FINAL_STATES.map(stateName) },
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
    labels: { state: FINAL_STATES.map(stateName) },
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
  claudecluster_engine_up: { kind: "gauge", help: "1 if the engine answers and can be used, otherwise 0." },
  claudecluster_store_bytes: { kind: "gauge", unit: "By", help: "Bytes of all that is stored of sessions." },
  claudecluster_event_lag_seconds: {
    kind: "histogram",
    unit: "s",
    help: "Time from the first event of a batch in its container until the batch is stored.",
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300],
  },
} as const satisfies Record<`claudecluster_${string}`, Metric>;

/** Names of the metrics of one kind, or of any. */
export type MetricName<Kind extends Metric["kind"] = Metric["kind"]> = {
  [Name in keyof typeof METRICS]: (typeof METRICS)[Name]["kind"] extends Kind ? Name : never;
}[keyof typeof METRICS];

/** Labels of a metric, each with a value. */
export type LabelsOf<Name extends MetricName> = (typeof METRICS)[Name] extends { labels: infer Labels }
  ? { [Label in keyof Labels]: string }
  : Record<never, string>;
