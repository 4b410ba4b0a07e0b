import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { create } from "@bufbuild/protobuf";
import { expect, test, vi } from "vitest";
import { HeldBytes } from "../held-bytes.ts";
import { SessionSpecSchema } from "../../../proto/index.ts";
import { HOST_SPANS, spanIdOf, traceOf } from "../../traces/trace-ids.ts";
import { stampTelemetry } from "./stamp.ts";
import { telemetryGateway, type TelemetryLimits } from "./telemetry-gateway.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const STAMP = {
  attributes: { "service.name": "claude-code", "claudecluster.session.id": "ses_1" },
  traceId: TRACE,
  hostSpans: HOST_SPANS,
};

const attribute = (key: string, stringValue: string) => ({ key, value: { stringValue } });
const metrics = (...names: unknown[]) => ({
  resourceMetrics: [
    {
      resource: {
        attributes: [
          attribute("claudecluster.session.id", "ses_forged"),
          attribute("service.name", "payments"),
          attribute("service.version", "2.1.332"),
          attribute("host.name", "forged"),
        ],
      },
      schemaUrl: "https://forged.example",
      scopeMetrics: [{ scope: { name: "claude", attributes: [attribute("x", "y")] }, metrics: names.map(metricOf) }],
    },
  ],
  more: "forged",
});
const metricOf = (name: unknown) => ({
  name,
  sum: {
    dataPoints: [{ asInt: "1", attributes: [attribute("claudecluster.session.id", "x"), attribute("type", "in")] }],
  },
});

test("metrics get the host's resource, and nothing that poses as the host's", () => {
  const stamped = stampTelemetry("metrics", metrics("claude_code.cost.usage", "claudecluster_sessions", 7), STAMP);
  expect(stamped).toEqual({
    resourceMetrics: [
      {
        resource: {
          attributes: [
            attribute("service.name", "claude-code"),
            attribute("claudecluster.session.id", "ses_1"),
            attribute("service.version", "2.1.332"),
          ],
        },
        scopeMetrics: [
          {
            scope: { name: "claude", version: "" },
            metrics: [
              {
                name: "claude_code.cost.usage",
                sum: { dataPoints: [{ asInt: "1", attributes: [attribute("type", "in")] }] },
              },
            ],
          },
        ],
      },
    ],
  });
});

test("spans are of the session's trace alone, and records of logs name no other", () => {
  const items = (key: string, scope: string, list: string, all: object[]) => ({
    [key]: [{ [scope]: [{ [list]: all }] }],
  });
  const own = { traceId: TRACE.toUpperCase(), spanId: "b7ad6b7169203331" };
  const other = { traceId: "f".repeat(32), spanId: "e".repeat(16) };
  const span = (place: object, name = "claude_code.interaction") => ({ ...place, name });
  const spans = items("resourceSpans", "scopeSpans", "spans", [span(own), span(other), span(own, "chat opus")]);
  const logs = items("resourceLogs", "scopeLogs", "logRecords", [
    { ...own, body: 1 },
    { ...other, body: 2 },
  ]);
  const text = (kind: "traces" | "logs", body: object) => JSON.stringify(stampTelemetry(kind, body, STAMP));
  expect(text("traces", spans)).toContain(JSON.stringify([span(own)]));
  expect(text("logs", logs)).toContain(JSON.stringify([{ ...own, body: 1 }, { body: 2 }]));
});

test("no span takes the place of one of the host's, which it may be in and linked with", () => {
  const spec = create(SessionSpecSchema);
  const { spanId: root } = traceOf("ses_1", spec);
  const ofHost = [
    root,
    root.toUpperCase(),
    ...["turn 2", "request 1", "tool toolu_1"].map((name) => spanIdOf("ses_1", name)),
  ];
  const at = (spanId: unknown) => ({ traceId: TRACE, spanId, name: "claude_code.interaction", parentSpanId: root });
  const honest = { ...at("b7ad6b7169203331"), links: [{ traceId: TRACE, spanId: root }] };
  const none = [...ofHost, ` ${root}`, `${root}0`, "", 7, undefined];
  const spans = [...none.map(at), honest];
  const stamped = stampTelemetry("traces", { resourceSpans: [{ scopeSpans: [{ spans }] }] }, STAMP);
  expect(stamped).toMatchObject({ resourceSpans: [{ scopeSpans: [{ spans: [honest] }] }] });
  expect(JSON.stringify(stamped).match(/"name":"claude_code/g)).toHaveLength(1);
});

test("no other spelling of a member, and nothing below it, leads into another trace or poses as the host's", () => {
  const other = "f".repeat(32);
  const at = { traceId: TRACE, spanId: "b7ad6b7169203331" };
  const aliases = JSON.parse(
    `{"trace_id":"${other}","TraceId":"${other}","span_id":"1","__proto__":{"x":1}}`,
  ) as object;
  const posing = ["claudecluster.x", "claudecluster_session_id", "ClaudeCluster/x", "claudecluster"];
  const attributes = [...posing, "claudeclusters"].map((key) => attribute(key, "v"));
  const body = { kvlistValue: { values: attributes, ...aliases } };
  const span = {
    ...at,
    ...aliases,
    name: "claude_code.interaction",
    links: [at, { ...at, traceId: other }, { ...at, traceId: 7 }],
    events: [{ name: "e", attributes, ...aliases }],
  };
  const exemplars = [{ asInt: "1" }, { asInt: "2", traceId: "" }, { asInt: "3", traceId: other }];
  const points = { sum: { dataPoints: [{ attributes, exemplars, ...aliases }] } };
  const one = (key: string, scope: string, list: string, item: object) => ({
    [key]: [{ [scope]: [{ [list]: [item] }] }],
  });
  const itemOf = (kind: "traces" | "logs" | "metrics", given: object) =>
    JSON.stringify(Object.values(stampTelemetry(kind, given, STAMP)!)[0]).replace(/^.*?"version":""},/, "");
  const kept = [attribute("claudeclusters", "v")];
  const json = (list: string, item: object) => `${JSON.stringify({ [list]: [item] }).slice(1)}]}]`;
  expect(itemOf("traces", one("resourceSpans", "scopeSpans", "spans", span))).toBe(
    json("spans", { ...at, name: span.name, links: [at], events: [{ name: "e", attributes: kept }] }),
  );
  expect(itemOf("logs", one("resourceLogs", "scopeLogs", "logRecords", { ...aliases, body }))).toBe(
    json("logRecords", { body: { kvlistValue: { values: kept } } }),
  );
  expect(
    itemOf("metrics", one("resourceMetrics", "scopeMetrics", "metrics", { name: "claude_code.x", ...points })),
  ).toBe(
    json("metrics", {
      name: "claude_code.x",
      sum: { dataPoints: [{ attributes: kept, exemplars: exemplars.slice(0, 2) }] },
    }),
  );
});

test.each([undefined, null, 7, [], {}, { resourceMetrics: {} }, { resourceMetrics: Array(17).fill({}) }])(
  "%j is no telemetry",
  (body) => {
    expect(stampTelemetry("metrics", body, STAMP)).toBeUndefined();
  },
);

async function startGateway(limits?: Partial<TelemetryLimits>, held?: HeldBytes) {
  const pushed: string[] = [];
  let dropped = 0;
  let outcome: "taken" | "refused" | "failed" = "taken";
  const handle = telemetryGateway({
    stamp: STAMP,
    push: (kind, body) => {
      pushed.push(`${kind} ${Buffer.from(body).toString()}`);
      return Promise.resolve(outcome);
    },
    onDropped: () => dropped++,
    held,
    limits: { bodyBytes: 2_000, bodyMs: 60_000, allBytes: 10_000, burst: 100, perSecond: 0, ...limits },
  });
  const server = createServer(handle).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    pushed,
    dropped: () => dropped,
    answer: (next: typeof outcome) => (outcome = next),
    async post(body: string, { path = "/v1/metrics", method = "POST", headers = {} } = {}) {
      const init = {
        method,
        ...(method === "POST" && { body }),
        headers: { "content-type": "application/json", ...headers },
      };
      return (await fetch(url + path, init)).status;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await server[Symbol.asyncDispose]();
    },
  };
}

const BODY = JSON.stringify(metrics("claude_code.cost.usage"));

test("takes telemetry, and nothing else", async () => {
  await using gateway = await startGateway();
  expect(await gateway.post(BODY)).toBe(200);
  expect(gateway.pushed).toEqual([expect.stringMatching(/^metrics \{"resourceMetrics"/)]);
  expect(await gateway.post(BODY, { path: "/v1/metrics?key=x" })).toBe(404);
  expect(await gateway.post(BODY, { path: "/v1/../admin" })).toBe(404);
  expect(await gateway.post("", { method: "GET" })).toBe(404);
  expect(await gateway.post(BODY, { headers: { "content-type": "application/x-protobuf" } })).toBe(415);
  expect(await gateway.post(BODY, { headers: { "content-encoding": "gzip" } })).toBe(415);
  expect(await gateway.post("no JSON")).toBe(400);
  expect(gateway.pushed).toHaveLength(1);
  expect(gateway.dropped()).toBe(0);
});

test("too much is refused and counted: in a body, in all, and at a time", async () => {
  await using large = await startGateway();
  expect(await large.post(BODY + " ".repeat(2_000))).toBe(413);
  expect(large.dropped()).toBe(1);
  await using all = await startGateway({ allBytes: BODY.length * 2 });
  expect([await all.post(BODY), await all.post(BODY), await all.post(BODY)]).toEqual([200, 200, 413]);
  expect(all.dropped()).toBe(1);
  await using fast = await startGateway({ burst: 2 });
  expect([await fast.post(BODY), await fast.post(BODY), await fast.post(BODY)]).toEqual([200, 200, 429]);
  expect(fast.dropped()).toBe(1);
});

test("a body that never ends is cut, counts for a whole one, and leaves its room to other sessions", async () => {
  const held = new HeldBytes(2_000);
  await using endless = await startGateway({ bodyMs: 50, allBytes: 2_000 }, held);
  await using other = await startGateway({}, held);
  const headers = { "content-type": "application/json" };
  const unended = request(`${endless.url}/v1/metrics`, { method: "POST", headers });
  unended.write("x".repeat(1_999));
  await expect(once(unended, "response")).rejects.toMatchObject({ code: "ECONNRESET" });
  await vi.waitFor(async () => expect(await other.post(BODY)).toBe(200), 20_000);
  expect(await endless.post(BODY)).toBe(413);
  expect(endless.dropped()).toBe(2);
});

test("what takes the host long to read counts for many, and what no telemetry is like is not read", async () => {
  const limits = { bodyBytes: 1_000_000, allBytes: 10_000_000, burst: 10 };
  await using gateway = await startGateway(limits);
  const spans = (count: number) => {
    const span = { traceId: TRACE, name: "claude_code.x", attributes: Array(15).fill(attribute("key", "value")) };
    return JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: Array(count).fill(span) }] }] });
  };
  expect(await gateway.post(spans(500), { path: "/v1/traces" })).toBe(200);
  expect(await gateway.post(BODY)).toBe(429);
  await using other = await startGateway(limits);
  const logs = (body: string) => `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":${body}}]}]}]}`;
  for (const body of [`[${"0,".repeat(70_000)}0]`, `${"[".repeat(50)}${"]".repeat(50)}`]) {
    expect(await other.post(logs(body), { path: "/v1/logs" })).toBe(400);
  }
  expect(other.pushed).toEqual([]);
  expect(await other.post(BODY)).toBe(200);
});

test("what the collector does not take is counted, and may be sent again where it may take it then", async () => {
  await using gateway = await startGateway();
  gateway.answer("failed");
  expect(await gateway.post(BODY)).toBe(503);
  gateway.answer("refused");
  expect(await gateway.post(BODY)).toBe(400);
  expect(gateway.dropped()).toBe(2);
});
