import type { ServerContext } from "@modelcontextprotocol/server";
import { expect, test } from "vitest";
import { traceParentOf } from "./trace-parent-of.ts";

const context = (meta: object | undefined, headers?: Record<string, string>) =>
  ({
    mcpReq: { _meta: meta },
    ...(headers && { http: { req: new Request("http://localhost/mcp", { headers }) } }),
  }) as unknown as ServerContext;

test("a call's traceparent is that of its _meta, otherwise of its HTTP request", () => {
  expect(traceParentOf(context({ traceparent: "a" }, { traceparent: "b" }))).toBe("a");
  expect(traceParentOf(context(undefined, { traceparent: "b" }))).toBe("b");
  expect(traceParentOf(context({ traceparent: 7 }))).toBeUndefined();
  expect(traceParentOf(context(undefined))).toBeUndefined();
});
