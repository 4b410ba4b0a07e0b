import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { WarmPoolSchema } from "../../proto/control.ts";
import { warmPoolJson, warmPoolLine } from "./warm-pool.ts";

test("a pool of prepared containers in a line and as JSON", () => {
  expect(warmPoolLine(create(WarmPoolSchema))).toBe("off");
  const fresh = create(WarmPoolSchema, { size: 1, makingCount: 1 });
  expect(warmPoolLine(fresh)).toBe("0 of 1 ready; 1 being made; 0 taken");
  expect(warmPoolJson(fresh)).toMatchObject({ being_made: 1, last_age_seconds: null, misses: {} });
  const used = create(WarmPoolSchema, {
    size: 2,
    readyCount: 1,
    memoryBytes: 209_715_200n,
    hitCount: 4,
    missCounts: { "none yet": 1, "other limits": 2 },
    lastAge: durationFromMs(34_400),
  });
  expect(warmPoolLine(used)).toBe(
    "1 of 2 ready (200 MiB); 4 taken, the last one 34 s old; 3 missed: other limits 2, none yet 1",
  );
  expect(warmPoolJson(used)).toEqual({
    size: 2,
    ready: 1,
    being_made: 0,
    hits: 4,
    misses: { "none yet": 1, "other limits": 2 },
    last_age_seconds: 34.4,
    memory_bytes: 209_715_200,
  });
});
