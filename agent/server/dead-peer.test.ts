import { afterEach, beforeEach, expect, test } from "vitest";
import { AttachStart_Role as Role, Session_State as State } from "../../proto/index.ts";
import { type AgentRig, attach, startRig } from "../../test/agent/agent-rig.ts";
import { Bridge } from "../../test/agent/bridge.ts";
import { type PreparingPlace, preparingPlace } from "../../test/agent/preparing-place.ts";

const PING_MS = 200;
const ABSENCE_MS = 1000;

let place: PreparingPlace;
let rig: AgentRig;
let bridge: Bridge;

beforeEach(async () => {
  place = preparingPlace();
  const timeouts = { pingIntervalMs: PING_MS, pingTimeoutMs: PING_MS };
  rig = await startRig({ place, timeouts, config: { hostAbsenceTimeoutMs: ABSENCE_MS } });
  await rig.agent.listen();
  bridge = await Bridge.open(rig.config.socketPath);
});

afterEach(async () => {
  await rig[Symbol.asyncDispose]();
  bridge.close();
});

test.each([
  ["an owner that says nothing any more", 0],
  ["an owner that reads nothing of much", 2000],
])("drops %s, without a word of the bridge, and the session goes on", async (_name, floodCount) => {
  using connection = bridge.dial();
  await connection.client.startSession({ sessionId: "ses_1", spec: { task: "wait" } });
  await using owner = attach(connection);
  await owner.event("phaseChanged");
  bridge.stop();
  place.progress(floodCount, "x".repeat(10_000));
  const start = Date.now();
  // Nobody is there once the dead owner has been dropped: the absence ends the session.
  const watcher = rig.connect();
  await using observer = attach(watcher, { role: Role.OBSERVER, afterSequence: 2 });
  await observer.done;
  expect(Date.now() - start).toBeLessThan(ABSENCE_MS + 6 * PING_MS);
  expect(observer.events.at(-1)!.event.value).toMatchObject({ state: State.CANCELED });
});

test("takes an owner back at once, while the dead one is still held for alive", async () => {
  using connection = bridge.dial();
  await connection.client.startSession({ sessionId: "ses_1", spec: { task: "wait" } });
  await using owner = attach(connection);
  await owner.event("phaseChanged");
  bridge.stop();
  place.progress(3, "later");
  await using again = attach(rig.connect(), { afterSequence: owner.events.length });
  await again.event("cloneProgress");
  expect(again.events[0]!.sequence).toBe(owner.events.length + 1);
  // The new owner stays when the old connection goes, and is presence enough.
  await new Promise((resolve) => setTimeout(resolve, ABSENCE_MS + 6 * PING_MS));
  expect((await again.hello).state).toBe(State.PREPARING);
  place.progress(1, "still there");
  await again.event("cloneProgress", ({ stage }) => stage === "still there");
});

test("keeps a slow host that answers", async () => {
  const connection = rig.connect();
  await connection.client.startSession({ sessionId: "ses_1", spec: { task: "wait" } });
  await using owner = attach(connection);
  await new Promise((resolve) => setTimeout(resolve, 8 * PING_MS));
  place.progress(1, "still there");
  await owner.event("cloneProgress", ({ stage }) => stage === "still there");
});
