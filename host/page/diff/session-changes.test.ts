import { setImmediate as turn } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { createConnectRouter } from "@connectrpc/connect";
import { createFetchHandler } from "@connectrpc/connect/protocol";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SessionService, WatchEventsResponseSchema } from "../../../proto/control.ts";
import { emptySession } from "../../../proto/index.ts";

/** Whether the host says something before a stream of its breaks off. */
let answers: boolean;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const router = createConnectRouter();
  router.service(SessionService, {
    getSession: ({ sessionId }) => ({ session: emptySession(sessionId) }),
    async *readArtifact() {},
    async *watchEvents() {
      if (answers) yield create(WatchEventsResponseSchema, { response: { case: "heartbeat", value: {} } });
    },
  });
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, createFetchHandler(handler)]));
  const call: typeof fetch = (input, init) => {
    const request = new Request(input, init);
    return handlers.get(new URL(request.url).pathname)!(request);
  };
  vi.stubGlobal("fetch", call);
  vi.stubGlobal("location", new URL("http://localhost/"));
  vi.stubGlobal("localStorage", { getItem: () => null });
  vi.stubGlobal("document", Object.assign(new EventTarget(), { hidden: false }));
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Lets streams break off. Returns how long the pauses behind them were (ms). */
async function pausesOf({ count }: { count: number }): Promise<number[]> {
  const { SessionChanges } = await import("./session-changes.ts");
  const timers = vi.spyOn(globalThis, "setTimeout");
  // What ends a silent stream is longer than all of them.
  const pauses = () => timers.mock.calls.flatMap(([, ms = 0]) => (ms <= 10_000 ? [ms] : []));
  const over = new AbortController();
  const run = new SessionChanges("ses_1").run(over.signal);
  for (let round = 1; round <= count; round++) {
    while (pauses().length < round) await turn();
    await vi.advanceTimersByTimeAsync(pauses().at(-1)!);
  }
  over.abort();
  await run;
  return pauses().slice(0, count);
}

test("changes are looked for again soon after each stream that said something", async () => {
  answers = true;
  expect(await pausesOf({ count: 4 })).toEqual([500, 500, 500, 500]);
});

test("a host that says nothing is asked more and more seldom", async () => {
  answers = false;
  expect(await pausesOf({ count: 4 })).toEqual([500, 1000, 2000, 4000]);
});
