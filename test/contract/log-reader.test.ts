import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { SessionLog } from "../../host/session/session-log.ts";
import { SqliteStore } from "../../host/store/sqlite-store.ts";
import {
  AssistantTextSchema,
  type EventBody,
  EventLog,
  type LogReader,
  type SessionEvent,
  SessionEventSchema,
  SessionFinishedSchema,
} from "../../proto/index.ts";

interface Harness extends Disposable {
  reader: LogReader;
  append(event: EventBody): void;
}

const said = (value: string): EventBody => ({
  case: "assistantText",
  value: create(AssistantTextSchema, { text: value }),
});
const finished: EventBody = { case: "sessionFinished", value: create(SessionFinishedSchema) };
const never = () => AbortSignal.timeout(20_000);
const numbers = (events: SessionEvent[]) => events.map(({ sequence }) => sequence);
const upTo = (count: number, from = 1) => Array.from({ length: count - from + 1 }, (_, index) => from + index);

/** What every log of a session promises to its readers. */
function logReaderContract(start: () => Harness): void {
  async function readAll(reader: LogReader, afterSequence: number, signal = never()): Promise<SessionEvent[][]> {
    const batches: SessionEvent[][] = [];
    for await (const batch of reader.read({ afterSequence, signal })) batches.push(batch);
    return batches;
  }

  test("gives every event once and in order, live and late, and ends after the last one", async () => {
    using log = start();
    const live = readAll(log.reader, 0);
    for (let index = 0; index < 700; index++) log.append(said(`line ${index}`));
    log.append(finished);
    for (const batches of [await live, await readAll(log.reader, 0)]) {
      expect(numbers(batches.flat())).toEqual(upTo(701));
      expect(batches.every(({ length }) => length > 0)).toBe(true);
    }
    expect(numbers((await readAll(log.reader, 650)).flat())).toEqual(upTo(701, 651));
    expect(await readAll(log.reader, 701)).toEqual([]);
  });

  test("gives an event at once, and in one batch what has gathered since", async () => {
    using log = start();
    const reading = log.reader.read({ afterSequence: 0, signal: never() });
    const first = reading.next();
    log.append(said("first"));
    expect(numbers((await first).value!)).toEqual([1]);
    for (let index = 0; index < 50; index++) log.append(said(String(index)));
    expect(numbers((await reading.next()).value!)).toEqual(upTo(51, 2));
    await reading.return(undefined);
  });

  test("is held up by no reader, and holds up none for another", async () => {
    using log = start();
    log.append(said("first"));
    const stalled = log.reader.read({ afterSequence: 0, signal: never() });
    await stalled.next();
    const other = readAll(log.reader, 0);
    for (let index = 0; index < 300; index++) log.append(said(String(index)));
    log.append(finished);
    expect(numbers((await other).flat())).toEqual(upTo(302));
    const rest: SessionEvent[] = [];
    for await (const batch of stalled) rest.push(...batch);
    expect(numbers(rest)).toEqual(upTo(302, 2));
  });

  test("gives batches that fit a message, however large the events are", async () => {
    using log = start();
    for (let index = 0; index < 100; index++) log.append(said("x".repeat(60_000)));
    log.append(finished);
    const sizes = (await readAll(log.reader, 0)).map((batch) =>
      batch.reduce((sum, event) => sum + toBinary(SessionEventSchema, event).length, 0),
    );
    expect(Math.max(...sizes)).toBeLessThan(1024 * 1024);
  });

  test("refuses a number that is yet to come, and one that there cannot be", async () => {
    using log = start();
    log.append(said("first"));
    for (const afterSequence of [2, -1]) {
      const reading = readAll(log.reader, afterSequence);
      await expect(reading).rejects.toMatchObject({ reason: "SEQUENCE_UNKNOWN", kind: "OUT_OF_RANGE" });
    }
  });

  test("ends a reader silently on an abort, also one that waits", async () => {
    using log = start();
    log.append(said("first"));
    const abort = new AbortController();
    const waiting = readAll(log.reader, 1, abort.signal);
    const between = log.reader.read({ afterSequence: 0, signal: abort.signal });
    await between.next();
    log.append(said("second"));
    log.append(said("third"));
    abort.abort();
    expect((await between.next()).done).toBe(true);
    expect((await waiting).flat().length).toBeLessThanOrEqual(2);
    expect(await readAll(log.reader, 0, abort.signal)).toEqual([]);
  });
}

describe("the agent's log", () => {
  logReaderContract(() => {
    const log = new EventLog();
    return { reader: log, append: (event) => void log.append(event), [Symbol.dispose]: () => {} };
  });
});

describe("the host's log", () => {
  logReaderContract(() => {
    const store = SqliteStore.open(":memory:");
    store.createSession("ses_1", { container: "", events: [] });
    return {
      reader: new SessionLog(store, "ses_1"),
      append: (event) => void store.append("ses_1", [{ event, occurTimeMs: 1 }]),
      [Symbol.dispose]: () => store[Symbol.dispose](),
    };
  });
});
