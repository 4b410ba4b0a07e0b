import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { decodeEvent, encodedBatch, encodeEvent } from "./encoded-events.ts";
import { EventBatchSchema, SessionEventSchema } from "./index.ts";

test("a batch of encoded events has the bytes of one that is encoded whole, empty, small and large", () => {
  const said = (sequence: number, text: string) =>
    create(SessionEventSchema, { sequence, event: { case: "assistantText", value: { text } } as never });
  for (const texts of [[], ["a"], ["b", "", "x".repeat(60_000), "ü".repeat(70)]]) {
    const events = texts.map((text, index) => said(index + 1, text));
    // One of them has been encoded before, the others have not.
    for (const event of events.slice(0, 1)) expect(encodeEvent(event)).toEqual(toBinary(SessionEventSchema, event));
    for (const event of events) expect(decodeEvent(toBinary(SessionEventSchema, event))).toEqual(event);
    const whole = toBinary(EventBatchSchema, create(EventBatchSchema, { events }));
    expect(toBinary(EventBatchSchema, encodedBatch(events))).toEqual(whole);
    const decoded = events.map((event) => decodeEvent(toBinary(SessionEventSchema, event)));
    expect(toBinary(EventBatchSchema, encodedBatch(decoded))).toEqual(whole);
    expect(fromBinary(EventBatchSchema, toBinary(EventBatchSchema, encodedBatch(events))).events).toHaveLength(
      events.length,
    );
  }
});
