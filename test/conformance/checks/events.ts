import assert from "node:assert/strict";
import { equals, toBinary } from "@bufbuild/protobuf";
import {
  AgentService,
  AttachStart_Role as Role,
  emptySession,
  foldEvent,
  isFinal,
  MAX_EVENT_BYTES,
  Phase,
  type SessionEvent,
  SessionEventSchema,
} from "../../../proto/index.ts";
import { refused } from "../call-failed.ts";
import type { Check } from "../check.ts";
import { EventReader } from "../event-reader.ts";

const { method } = AgentService;
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

/** The log: its order, its numbers and its readers. */
export const EVENTS: readonly Check[] = [
  {
    rule: "Events are numbered from 1 without a gap.",
    needs: "finished",
    async run(_bench, { owner }) {
      assert.deepEqual(owner.sequences, upTo(owner.events.length));
    },
  },
  {
    rule: "session_started is the first event; session_finished is the last and there is exactly one.",
    needs: "finished",
    async run(bench, { owner }) {
      const kinds = owner.events.map(({ event }) => event.case);
      assert.equal(kinds[0], "sessionStarted");
      assert.equal(kinds.at(-1), "sessionFinished");
      assert.equal(kinds.filter((kind) => kind === "sessionFinished").length, 1, "number of session_finished");
      assert.ok(isFinal((await bench.getSession()).state), "the state is final");
    },
  },
  {
    rule: "A turn's events lie between its turn_started and its turn_finished, a tool's use between its start and its end.",
    needs: "finished",
    async run(_bench, { owner }) {
      let turn = 0;
      let running = false;
      const tools = new Set<string>();
      for (const { event, sequence } of owner.events) {
        if (event.case === "turnStarted") {
          assert.equal(event.value.turn, ++turn, "turns are numbered from 1");
          running = true;
        }
        if (event.case === "toolUseStarted") tools.add(event.value.toolUseId);
        if (event.case === "toolUseFinished") assert.ok(tools.delete(event.value.toolUseId), `tool at ${sequence}`);
        const ofTurn = ["claudeReady", "assistantText", "toolUseStarted", "toolUseFinished", "turnFinished"];
        if (ofTurn.includes(event.case ?? "")) assert.ok(running, `${event.case} at ${sequence} is outside of a turn`);
        if (event.case === "turnFinished") {
          assert.equal(event.value.turn, turn, "turn_finished names its turn");
          running = false;
        }
      }
      assert.equal(turn, 3, "number of turns");
      assert.equal(tools.size, 0, "tools without an end");
    },
  },
  {
    rule: "No event is above 64 KiB.",
    needs: "finished",
    async run(_bench, { owner }) {
      const largest = Math.max(...owner.events.map((event) => toBinary(SessionEventSchema, event).length));
      assert.ok(largest <= MAX_EVENT_BYTES, `the largest has ${largest} bytes`);
    },
  },
  {
    rule: "The first message of Attach and of WatchEvents is hello.",
    needs: "finished",
    async run(bench, { owner, observer, controller, watcher, started }) {
      const { instanceId } = await bench.client.call(method.getAgentInfo);
      for (const reader of [owner, observer, controller, watcher]) {
        assert.equal(reader.first, "hello");
        assert.equal(reader.hello?.session?.id, started.id, "the session in hello");
        assert.equal(reader.hello?.instanceId, instanceId, "instance_id in hello");
      }
    },
  },
  {
    rule: "Every reader, early or late, gets the same events.",
    needs: "finished",
    async run(bench, { owner, observer, controller, watcher }) {
      const late = bench.watch();
      await late.done;
      for (const reader of [observer, controller, watcher, late]) same(reader.events, owner.events);
    },
  },
  {
    rule: "A reader gets exactly the events after after_sequence; 0 means all of them.",
    needs: "finished",
    async run(bench, { owner }) {
      const count = owner.events.length;
      for (const after of [1, 2, Math.floor(count / 2), count - 1, count]) {
        const watcher = bench.watch(after);
        const observer = bench.attach({ role: Role.OBSERVER, afterSequence: after });
        for (const reader of [watcher, observer]) {
          await reader.done;
          assert.equal(reader.first, "hello", "also where there is nothing more");
          same(reader.events, owner.events.slice(after));
        }
      }
    },
  },
  {
    rule: "An after_sequence beyond the newest event is OUT_OF_RANGE.",
    needs: "finished",
    async run(bench, { owner }) {
      await refused(bench.watch(owner.events.length + 1).done, "OUT_OF_RANGE", "SEQUENCE_UNKNOWN");
      await refused(bench.watch(-1).done, "OUT_OF_RANGE", "SEQUENCE_UNKNOWN");
    },
  },
  {
    rule: "GetSession answers with what the events add up to.",
    needs: "finished",
    async run(bench, { owner, started }) {
      const folded = emptySession(started.id);
      for (const event of owner.events) foldEvent(folded, event);
      const session = await bench.getSession();
      for (const name of ["id", "state", "phase", "lastSequence", "turnCount", "conversationId"] as const) {
        assert.equal(session[name], folded[name], name);
      }
      const phases = (timings: typeof session.phaseTimings) => timings.map(({ phase }) => Phase[phase]);
      assert.deepEqual(phases(session.phaseTimings), phases(folded.phaseTimings), "phase_timings");
      assert.equal(session.result?.outcome.case, folded.result?.outcome.case, "the result's outcome");
    },
  },
  {
    rule: "A stream with nothing to say sends heartbeats.",
    needs: "own",
    async run(bench) {
      // Nobody serves the model: Claude waits, and nothing happens.
      await bench.start("Wait.");
      const readers = [bench.attach(), bench.watch()];
      await Promise.all(readers.map((each) => each.until("a heartbeat", () => each.heartbeats > 0 || undefined)));
    },
  },
  {
    rule: "A slow reader holds up nobody, and misses nothing.",
    needs: "own",
    async run(bench) {
      await bench.start("[scenario: huge-edit bytes=6000000 line=1000] Megabytes of diffs.");
      const messages = bench.connect().stream(method.watchEvents)[Symbol.asyncIterator]();
      assert.equal((await messages.next()).value?.response.case, "hello");
      const owner = bench.attach();
      bench.serve();
      await owner.done;
      const slow = new EventReader({ [Symbol.asyncIterator]: () => messages });
      await slow.done;
      same(slow.events, owner.events);
    },
  },
];

/** Compares by content, and says where they part. */
function same(actual: readonly SessionEvent[], expected: readonly SessionEvent[]): void {
  assert.deepEqual(
    actual.map(({ sequence }) => sequence),
    expected.map(({ sequence }) => sequence),
    "the numbers of the events",
  );
  const differs = actual.findIndex((event, index) => !equals(SessionEventSchema, event, expected[index]!));
  assert.equal(differs, -1, `event ${actual[differs]?.sequence} differs`);
}
