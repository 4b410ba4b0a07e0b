import { expect, test } from "vitest";
import { ControlClient } from "../../host/control/control-client.ts";
import { RemoteSessions } from "../../host/control/remote-sessions.ts";
import { Session_State } from "../../proto/index.ts";
import { startLoadHost } from "./load-host.ts";
import { localAgents } from "./local-agent.ts";
import { watch } from "./watcher.ts";

const SESSIONS = 10;
const WATCHERS = 40;
const STALLED = 2;
const EVENTS = 200;

test("every watcher sees every event of its session, once and in order, and one that stalls holds up nobody", async () => {
  await using host = await startLoadHost(() => localAgents({ eventsPerSecond: 100, eventCount: EVENTS }));
  // Those that stall share a connection with others.
  using client = new ControlClient(host.socketPath);
  const remote = new RemoteSessions({ client });
  const ids = await host.create(SESSIONS);
  const { promise: resumed, resolve: resume } = Promise.withResolvers<undefined>();
  const signal = AbortSignal.timeout(25_000);
  const start = (index: number) =>
    watch(index % 4 === 3 ? host.sessions : remote, ids[index % SESSIONS]!, {
      signal,
      ...(index < STALLED && { stalledUntil: resumed.then(() => {}) }),
    });
  const watchers = Array.from({ length: WATCHERS }, (_, index) => start(index));

  const seen = await Promise.all(watchers.slice(STALLED));
  resume(undefined);
  seen.push(...(await Promise.all(watchers.slice(0, STALLED))));
  // One that comes when all is over.
  seen.push(await start(STALLED));
  for (const one of seen) {
    expect(one).toMatchObject({ gapCount: 0, finished: true });
    expect(one.eventCount).toBeGreaterThan(EVENTS);
  }
  const { sessions } = await host.sessions.list({ states: [Session_State.SUCCEEDED] });
  expect(sessions.map(({ id }) => id).sort()).toEqual([...ids].sort());
});
