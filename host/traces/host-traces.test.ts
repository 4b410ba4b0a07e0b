import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { Phase, PhaseChangedSchema, SessionStartedSchema } from "../../proto/index.ts";
import { startOtlpReceiver } from "../../test/support/otlp-receiver.ts";
import { finished, NEW, temporaryStore } from "../../test/support/stored-sessions.ts";
import { WayOut } from "../broker/way-out.ts";
import { createLogger } from "../logger.ts";
import { OtlpTarget } from "../otlp/otlp-target.ts";
import type { NewEvent } from "../store/session-store.ts";
import { SqliteStore } from "../store/sqlite-store.ts";
import { HostTraces } from "./host-traces.ts";
import { SpanPush } from "./span-push.ts";
import type { EndedSpan } from "./session-spans.ts";

const logger = createLogger("silent");

function targetOf(url: string): OtlpTarget {
  const otlp = {
    endpoint: url,
    interval_seconds: 60,
    traces: true,
    claude: false,
    headers: { authorization: "Bearer secret" },
  };
  return new OtlpTarget({ otlp, wayOut: new WayOut(), logger });
}

const enters = (phase: Phase): NewEvent => ({
  event: { case: "phaseChanged", value: create(PhaseChangedSchema, { phase }) },
  occurTimeMs: Date.now(),
});

test("a host that takes a session up ends its trace, with what the one before had of it", async () => {
  await using receiver = await startOtlpReceiver();
  using place = temporaryStore();
  using store = SqliteStore.open(place.path);
  const identity = { version: "1.2.3", instanceId: "life", logger, onDropped: () => {} };
  const open = () => {
    const resumedSessionIds = store.liveSessionIds();
    return HostTraces.start({ store, resumedSessionIds, target: targetOf(receiver.url), ...identity });
  };
  const begun = create(SessionStartedSchema, { sessionId: "ses_1", spec: { task: "x" } });
  await using first = open();
  const events: NewEvent[] = [{ event: { case: "sessionStarted", value: begun }, occurTimeMs: Date.now() }];
  store.createSession("ses_1", { ...NEW, events: [...events, enters(Phase.QUEUED), enters(Phase.WORK)] });
  await first[Symbol.asyncDispose]();
  expect(receiver.spans().map(({ name }) => name)).toEqual(["phase queued"]);
  const [before] = receiver.spans();

  await using _second = open();
  // It comes while the second one still reads what was before.
  store.append("ses_1", [enters(Phase.COLLECT), finished(Date.now())]);
  await expect.poll(() => receiver.spans().length, { timeout: 10_000 }).toBe(5);
  const spans = receiver.spans().slice(1);
  expect(spans.map(({ name }) => name)).toEqual(["phase queued", "phase work", "phase collect", "invoke_agent claude"]);
  expect(spans[0]).toEqual(before);
  const root = spans.at(-1)!;
  for (const { parentSpanId, traceId } of spans.slice(0, 3)) {
    expect({ parentSpanId, traceId }).toEqual({ parentSpanId: root.spanId, traceId: root.traceId });
  }
  expect(receiver.others[0]!.headers).toMatchObject({ authorization: "Bearer secret" });
});

function span(index: number): EndedSpan {
  const spanId = index.toString(16).padStart(16, "0");
  const fixed = {
    traceId: "a".repeat(32),
    parentSpanId: undefined,
    remoteParent: false,
    client: false,
    error: undefined,
  };
  return { ...fixed, spanId, name: "s", startMs: 1.5, endMs: 2, attributes: {}, linkedSpanId: undefined };
}

test("spans wait for a collector that is away, the oldest go where too many do, and that is counted", async () => {
  await using receiver = await startOtlpReceiver();
  receiver.answer(503);
  let dropped = 0;
  const onDropped = (count: number) => (dropped += count);
  await using push = new SpanPush({ target: targetOf(receiver.url), version: "1", instanceId: "x", onDropped });
  for (let i = 1; i <= 8_200; i++) push.add(span(i));
  expect(dropped).toBe(8);
  await expect.poll(() => receiver.attempts, { timeout: 10_000 }).toBeGreaterThan(0);
  receiver.answer(200);
  await push[Symbol.asyncDispose]();
  const ids = receiver.spans().map(({ spanId }) => Number.parseInt(spanId, 16));
  expect(ids).toEqual(Array.from({ length: 8_192 }, (_, i) => i + 9));
  expect(dropped).toBe(8);
});

test("spans that are refused for good are not pushed again", async () => {
  await using receiver = await startOtlpReceiver();
  receiver.answer(400);
  let dropped = 0;
  const onDropped = (count: number) => (dropped += count);
  await using push = new SpanPush({ target: targetOf(receiver.url), version: "1", instanceId: "x", onDropped });
  push.add(span(1));
  await push[Symbol.asyncDispose]();
  expect({ dropped, attempts: receiver.attempts }).toEqual({ dropped: 1, attempts: 1 });
});
