import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { type EventBody, StderrOutputSchema } from "../../proto/index.ts";
import { OutputEvents } from "./output-events.ts";

const source = {
  name: "stderr",
  toEvent: (data: Uint8Array<ArrayBuffer>): EventBody => ({
    case: "stderrOutput",
    value: create(StderrOutputSchema, { data }),
  }),
};

function summary(events: EventBody[]): [kind: string, bytes: number][] {
  return events.map((event) => {
    if (event.case === "stderrOutput") return ["kept", event.value.data.length];
    return ["dropped", event.case === "outputTruncated" ? Number(event.value.sizeBytes) : -1];
  });
}

test("keeps what is written, in pieces that fit an event", () => {
  const stderr = new OutputEvents(source, { now: () => 0 });
  expect(summary(stderr.push(Buffer.alloc(40 * 1024)))).toEqual([
    ["kept", 32 * 1024],
    ["kept", 8 * 1024],
  ]);
  expect(stderr.flush()).toEqual([]);
});

test("keeps 64 KiB a second and says what it left out", () => {
  let now = 0;
  const stderr = new OutputEvents(source, { now: () => now });
  stderr.push(Buffer.alloc(64 * 1024));
  expect(stderr.push(Buffer.alloc(1000))).toEqual([]);
  expect(stderr.push(Buffer.alloc(24))).toEqual([]);
  now = 1000;
  expect(summary(stderr.push(Buffer.from("again")))).toEqual([
    ["dropped", 1024],
    ["kept", 5],
  ]);
});

test("keeps a mebibyte in all", () => {
  let now = 0;
  const stderr = new OutputEvents(source, { now: () => now });
  let kept = 0;
  for (; now < 100_000; now += 1000)
    for (const [kind, bytes] of summary(stderr.push(Buffer.alloc(50_000)))) if (kind === "kept") kept += bytes;
  expect(kept).toBe(1024 * 1024);
  expect(summary(stderr.flush())).toEqual([["dropped", 100 * 50_000 - kept]]);
});

test("remembers the last lines, also of what it left out", () => {
  const stderr = new OutputEvents(source, { now: () => 0 });
  stderr.push(Buffer.alloc(200 * 1024, "x"));
  stderr.push(Buffer.from("\nError: the end\n"));
  expect(stderr.tail.endsWith("\nError: the end")).toBe(true);
  expect(stderr.tail.length).toBeLessThanOrEqual(2048);
});
