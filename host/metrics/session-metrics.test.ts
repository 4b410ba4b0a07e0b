import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  FailureSchema,
  Phase,
  PhaseChangedSchema,
  SessionFinishedSchema,
  SessionResultSchema,
  SessionStartedSchema,
  Session_State as State,
  StateChangedSchema,
} from "../../proto/index.ts";
import type { NewEvent } from "../store/session-store.ts";
import { SqliteStore } from "../store/sqlite-store.ts";
import { Meters } from "./meters.ts";
import { SessionMetrics } from "./session-metrics.ts";

const ID = "ses_01M8MMVJZ50HMGC5EW6CX9N2FJ";
const START_MS = Date.now() - 100_000;
const SECRET = "https://git.example.com/secret/repository";

function phase(of: Phase, seconds: number): NewEvent {
  return { event: { case: "phaseChanged", value: create(PhaseChangedSchema, { phase: of }) }, ...at(seconds) };
}
function state(of: State, seconds: number): NewEvent {
  return { event: { case: "stateChanged", value: create(StateChangedSchema, { state: of }) }, ...at(seconds) };
}
function finished(of: State, seconds: number, reason?: string): NewEvent {
  const failure = create(FailureSchema, { reason: reason ?? "", message: SECRET });
  const outcome = reason === undefined ? {} : { outcome: { case: "failure" as const, value: failure } };
  const value = create(SessionFinishedSchema, { state: of, result: create(SessionResultSchema, outcome) });
  return { event: { case: "sessionFinished", value }, ...at(seconds) };
}
function at(seconds: number) {
  return { occurTimeMs: START_MS + seconds * 1000 };
}

function begin(store: SqliteStore, id = ID) {
  const spec = { task: SECRET, repository: { uri: SECRET } };
  const started: NewEvent["event"] = {
    case: "sessionStarted",
    value: create(SessionStartedSchema, { sessionId: id, spec }),
  };
  store.createSession(id, {
    container: "{}",
    events: [{ event: started, ...at(0) }, state(State.QUEUED, 0), phase(Phase.QUEUED, 0)],
  });
}

function startMeters() {
  return Meters.start({ version: "1.2.3", instanceId: "life" });
}

/** Samples whose names begin like this, by what is before their value. */
async function samples(meters: Meters, name: string): Promise<Record<string, number>> {
  const lines = (await meters.text()).split("\n").filter((line) => line.startsWith(name));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]),
  );
}

test("counts a session from its creation to its end, and how long each phase took", async () => {
  using store = SqliteStore.open(":memory:");
  await using meters = startMeters();
  using _metrics = SessionMetrics.start(store, meters);
  begin(store);
  expect(await samples(meters, "claudecluster_sessions{")).toMatchObject({
    'claudecluster_sessions{state="queued"}': 1,
    'claudecluster_sessions{state="running"}': 0,
  });
  const wait = (await samples(meters, "claudecluster_queue_longest"))["claudecluster_queue_longest_wait_seconds"];
  expect(wait).toBeGreaterThanOrEqual(100);

  store.append(ID, [phase(Phase.CREATE, 7), phase(Phase.WORK, 8), state(State.RUNNING, 8)]);
  expect(await samples(meters, "claudecluster_sessions{")).toMatchObject({
    'claudecluster_sessions{state="queued"}': 0,
    'claudecluster_sessions{state="running"}': 1,
  });
  expect(await samples(meters, "claudecluster_queue_longest")).toEqual({ claudecluster_queue_longest_wait_seconds: 0 });

  store.append(ID, [finished(State.FAILED, 20, "SETUP_FAILED")]);
  const text = await meters.text();
  expect(text).toContain('claudecluster_sessions{state="running"} 0\n');
  expect(text).toContain("claudecluster_sessions_created_total 1\n");
  expect(text).toContain('claudecluster_sessions_ended_total{state="failed"} 1\n');
  expect(text).toContain('claudecluster_sessions_ended_total{state="succeeded"} 0\n');
  expect(text).toContain('claudecluster_session_failures_total{reason="SETUP_FAILED"} 1\n');
  expect(text).toContain('claudecluster_session_duration_seconds_sum{state="failed"} 20\n');
  expect(await samples(meters, "claudecluster_phase_duration_seconds_sum")).toEqual({
    'claudecluster_phase_duration_seconds_sum{phase="queued"}': 7,
    'claudecluster_phase_duration_seconds_sum{phase="create"}': 1,
    'claudecluster_phase_duration_seconds_sum{phase="work"}': 12,
  });
  expect(text).not.toContain("ses_");
  expect(text).not.toContain("example.com");
});

test("goes on with the sessions that an earlier host began, and tells how far behind their events come", async () => {
  using store = SqliteStore.open(":memory:");
  begin(store);
  store.append(ID, [phase(Phase.WORK, 10), state(State.RUNNING, 10)]);
  await using meters = startMeters();
  using _metrics = SessionMetrics.start(store, meters);
  expect(await meters.text()).toContain('claudecluster_sessions{state="running"} 1\n');
  store.append(ID, [{ ...state(State.IDLE, 40), agentSequence: 1 }]);
  store.append(ID, [{ ...phase(Phase.COLLECT, 50), agentSequence: 2 }]);
  expect(await samples(meters, "claudecluster_phase_duration_seconds_sum")).toEqual({
    'claudecluster_phase_duration_seconds_sum{phase="work"}': 40,
  });
  const lag = await samples(meters, "claudecluster_event_lag_seconds");
  expect(lag["claudecluster_event_lag_seconds_count"]).toBe(2);
  expect(lag["claudecluster_event_lag_seconds_sum"]).toBeGreaterThanOrEqual(110);
});

test("takes no label's value from a container", async () => {
  using store = SqliteStore.open(":memory:");
  await using meters = startMeters();
  using _metrics = SessionMetrics.start(store, meters);
  for (let index = 0; index < 50; index++) {
    begin(store, `ses_${index}`);
    store.append(`ses_${index}`, [
      phase((1000 + index) as Phase, 1),
      phase(Phase.WORK, 2),
      finished(State.FAILED, 3, `HOSTILE_${index} ${SECRET}"\n`),
    ]);
  }
  const text = await meters.text();
  expect(text).not.toMatch(/HOSTILE|example/);
  expect(text).toContain('claudecluster_session_failures_total{reason="other"} 50\n');
  expect(text).toContain('claudecluster_phase_duration_seconds_count{phase="other"} 50\n');
});
