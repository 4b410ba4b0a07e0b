import { expect, test } from "vitest";
import { readTraceParent, traceParentText } from "./trace-parent.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";

test("reads what it writes, and what a later version adds", () => {
  for (const sampled of [true, false]) {
    const place = { traceId: TRACE, spanId: SPAN, sampled };
    expect(readTraceParent(traceParentText(place))).toEqual(place);
  }
  expect(readTraceParent(`cc-${TRACE}-${SPAN}-03-more`)).toEqual({ traceId: TRACE, spanId: SPAN, sampled: true });
});

test.each([
  "",
  `ff-${TRACE}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}-01-more`,
  `00-${TRACE.toUpperCase()}-${SPAN}-01`,
  `00-${"0".repeat(32)}-${SPAN}-01`,
  `00-${TRACE}-${"0".repeat(16)}-01`,
  `00-${TRACE}-${SPAN}`,
  `00-${TRACE}-${SPAN}-01\n`,
])("takes %j for none", (text) => {
  expect(readTraceParent(text)).toBeUndefined();
});
