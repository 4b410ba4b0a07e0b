import { expect, test } from "vitest";
import { pointOf, startOtlpReceiver } from "../../test/support/otlp-receiver.ts";
import { WayOut } from "../broker/way-out.ts";
import { SETTINGS } from "../config/settings.ts";
import { createLogger } from "../logger.ts";
import { OtlpTarget } from "../otlp/otlp-target.ts";
import { Meters } from "./meters.ts";
import { METRICS } from "./metrics.ts";
import { otlpReader } from "./otlp-push.ts";

function startMeters(otlp: object) {
  const logged: Record<string, unknown>[] = [];
  const logger = createLogger("warn", { write: (line) => void logged.push(JSON.parse(line) as (typeof logged)[0]) });
  // Shorter than a user may set it.
  const settings = { endpoint: "", interval_seconds: 0.05, traces: true, claude: false, ...otlp };
  const reader = otlpReader(new OtlpTarget({ otlp: settings, wayOut: new WayOut(), logger }));
  return { meters: Meters.start({ version: "1.2.3", instanceId: "life", readers: [reader] }), logged };
}

test("pushes all metrics under the names that Prometheus reads, now and then and at the end", async () => {
  await using receiver = await startOtlpReceiver();
  const headers = { authorization: "Bearer secret" };
  const { meters, logged } = startMeters({ endpoint: `${receiver.url}/otlp/`, headers });
  meters.onRead((set) => set("claudecluster_queue_length", 7, {}));
  meters.record("claudecluster_phase_duration_seconds", 2, { phase: "work" });
  await expect.poll(() => receiver.pushes.length).toBeGreaterThan(1);
  meters.add("claudecluster_sessions_created_total", 3, {});
  await meters[Symbol.asyncDispose]();
  const last = receiver.pushes.at(-1)!;
  expect(last).toMatchObject({ path: "/otlp/v1/metrics", headers });
  expect(last.resource).toMatchObject({
    "service.name": "claudecluster",
    "service.version": "1.2.3",
    "service.instance.id": "life",
  });
  expect(pointOf(last, "claudecluster_sessions_created_total")).toBe(3);
  expect(pointOf(last, "claudecluster_queue_length")).toBe(7);
  expect(pointOf(last, "claudecluster_phase_duration_seconds", { phase: "work" })).toBe(1);
  for (const { name } of last.metrics) expect(Object.keys(METRICS)).toContain(name);
  expect(logged).toEqual([]);
});

test("says once that a push failed, pushes everything later, and ends also without who takes it", async () => {
  const receiver = await startOtlpReceiver();
  receiver.answer(503);
  const { meters, logged } = startMeters({ endpoint: receiver.url, headers: { "x-key": "secret" } });
  meters.add("claudecluster_sessions_created_total", 1, {});
  await expect.poll(() => receiver.attempts).toBeGreaterThan(2);
  receiver.answer(200);
  await expect.poll(() => receiver.pushes.length).toBeGreaterThan(0);
  expect(pointOf(receiver.pushes[0]!, "claudecluster_sessions_created_total")).toBe(1);
  expect(logged).toMatchObject([{ why: expect.stringMatching(/^127\.0\.0\.1:\d+ answered 503$/) }]);
  await receiver[Symbol.asyncDispose]();
  await meters[Symbol.asyncDispose]();
  expect(logged).toMatchObject([{}, { why: expect.stringContaining("was not reached") }]);
  expect(JSON.stringify(logged)).not.toContain("secret");
});

test("takes headers, which may hold a secret, to https and loopback alone", () => {
  const { schema } = SETTINGS.otlp;
  const headers = { authorization: "Bearer secret" };
  for (const endpoint of ["https://otlp.example.com", "http://127.0.0.1:4318", "http://[::1]:4318"]) {
    expect(schema.safeParse({ endpoint, headers }).success, endpoint).toBe(true);
  }
  expect(schema.parse({ endpoint: "http://collector:4318" })).toMatchObject({ interval_seconds: 60 });
  for (const endpoint of ["http://collector:4318", "ftp://127.0.0.1", "127.0.0.1:4318", ""]) {
    expect(schema.safeParse({ endpoint, headers }).success, endpoint).toBe(false);
  }
});
