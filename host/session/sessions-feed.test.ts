import { create } from "@bufbuild/protobuf";
import { expect, onTestFinished, test, vi } from "vitest";
import { type Session, SessionSchema, SessionSpecSchema, Session_State } from "../../proto/index.ts";
import { SessionsFeed } from "./sessions-feed.ts";

/** Sessions whose store is what a test says. */
function start() {
  const stored = new Map<string, Session>();
  let tell: (id: string, state: Session_State | undefined) => void = () => {};
  let lookCount = 0;
  const feed = SessionsFeed.start({
    store: {
      getSession: (id) => {
        lookCount += 1;
        return stored.get(id);
      },
      listSessions: () => [...stored.values()],
      onChanged: (listener) => {
        tell = listener;
        return { [Symbol.dispose]: () => {} };
      },
    },
    complete: (session) => session,
  });
  return {
    feed,
    lookCount: () => lookCount,
    enter(id: string, state: Session_State) {
      const spec = create(SessionSpecSchema, { task: "x".repeat(10_000), environment: { name: "value" } });
      stored.set(id, create(SessionSchema, { id, state, spec }));
      tell(id, state);
    },
    remove(id: string) {
      stored.delete(id);
      tell(id, undefined);
    },
  };
}

const read = (feed: SessionsFeed) => {
  const reader = feed.watch({ signal: AbortSignal.timeout(20_000) });
  return async () => (await reader.next()).value;
};

test("a snapshot is made only where a reader asks, once for all that has changed since, and for all readers", async () => {
  const { feed, enter, lookCount } = start();
  enter("ses_1", Session_State.QUEUED);
  const next = read(feed);
  const other = read(feed);
  for (const each of [next, other]) {
    expect(await each()).toMatchObject({ case: "hello" });
    expect(await each()).toMatchObject({ value: { caughtUp: true } });
  }
  for (let index = 0; index < 10_000; index++) enter(`ses_${index % 3}`, Session_State.RUNNING);
  expect(lookCount()).toBe(0);
  const news = await next();
  expect(news?.case === "updates" && news.value.sessions.map(({ id }) => id).toSorted()).toEqual([
    "ses_0",
    "ses_1",
    "ses_2",
  ]);
  expect(await other()).toEqual(news);
  expect(lookCount()).toBe(3);
});

test("what is told of a session has its task cut and no variables, and is kept a moment only", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const { feed, enter, lookCount } = start();
  const [first, second, late] = [read(feed), read(feed), read(feed)];
  for (const next of [first, second, late]) for (let count = 0; count < 2; count++) await next();
  enter("ses_1", Session_State.SUCCEEDED);
  const news = await first();
  const [{ spec }] = (news?.case === "updates" && news.value.sessions) as [Session];
  expect(spec!.task).toHaveLength(4096);
  expect(spec!.environment).toEqual({});
  await second();
  expect(lookCount()).toBe(1);
  vi.advanceTimersByTime(1000);
  expect(await late()).toEqual(news);
  expect(lookCount()).toBe(2);
});

test("a reader that falls too far behind is told to forget what it knew, and all that there is", async () => {
  const { feed, enter, remove } = start();
  enter("ses_kept", Session_State.RUNNING);
  const next = read(feed);
  for (let count = 0; count < 2; count++) await next();
  for (let index = 0; index < 20_000; index++) {
    enter("ses_gone", Session_State.FAILED);
    remove("ses_gone");
  }
  expect(await next()).toMatchObject({ case: "hello", value: { resumed: false } });
  expect(await next()).toMatchObject({
    value: { sessions: [{ id: "ses_kept" }], removedSessionIds: [], caughtUp: true },
  });
});
