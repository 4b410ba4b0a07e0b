import { once } from "node:events";
import { createServer, type IncomingMessage, request, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { duplexPair } from "node:stream";
import { text } from "node:stream/consumers";
import { create } from "@bufbuild/protobuf";
import { pino } from "pino";
import { expect, test } from "vitest";
import { NO_GIT_CREDENTIALS } from "../../test/support/no-git-credentials.ts";
import { BudgetSchema, MeteredUsageSchema } from "../../proto/index.ts";
import { Broker } from "../broker/broker.ts";
import { fixedCredential } from "../broker/model/credential.ts";
import type { TrafficObserver } from "../broker/traffic.ts";
import { leftToday } from "../session/spending.ts";
import { SqliteStore } from "../store/sqlite-store.ts";
import { Meters } from "./meters.ts";
import { observeTraffic } from "./traffic-metrics.ts";

/** A broker whose traffic is counted, before an endpoint that gives its answers one after the other. */
async function start(...answers: RequestListener[]) {
  await using stack = new AsyncDisposableStack();
  const server = createServer((asked, response) => {
    asked.resume().once("end", () => answers.shift()!(asked, response));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  stack.defer(() => (server.listening ? server[Symbol.asyncDispose]() : undefined));
  const traffic = new Set<TrafficObserver>();
  const meters = stack.use(Meters.start({ version: "1.2.3", instanceId: "life" }));
  stack.use(observeTraffic(traffic, meters));
  const broker = stack.use(
    new Broker({
      model: {
        endpoint: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
        credentials: fixedCredential({ kind: "api-key", value: "key" }),
        policy: { allowedModels: undefined, allowedBetas: [], maxOutputTokens: 1000 },
        fallbackModel: undefined,
        spending: { reserve: async () => ({ held: { [Symbol.dispose]: () => {} } }), add: () => {} },
        onRetry: () => {},
        onReach: () => {},
        retryDelaysMs: [0],
      },
      git: NO_GIT_CREDENTIALS,
      proxy: { maxEgressBytes: 1e9 },
      egress: { open: false, allowed: new Set(), allowedPrivate: new Set() },
      logger: pino({ level: "silent" }),
      onDecision: () => {},
      onTraffic: (fact) => traffic.forEach((observe) => observe(fact)),
    }),
  );
  const send = async (gateway: "model" | "proxy" | "git", path: string, body = "") => {
    const [ours, theirs] = duplexPair();
    broker.accept(gateway, theirs);
    const call = request({ method: "POST", path, createConnection: () => ours as never });
    call.end(body);
    const [answer] = (await once(call, "response")) as [IncomingMessage];
    await text(answer);
    return answer.statusCode;
  };
  const owned = stack.move();
  return { meters, send, server, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const answering =
  (status: number, model = "", usage: object = {}): RequestListener =>
  (_asked, response) =>
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ model, usage }));

const asking = (model: string) => JSON.stringify({ model, max_tokens: 10, messages: [] });

test("counts requests to the model, what they used, and how often they were tried", async () => {
  const used = { input_tokens: 1_000_000, output_tokens: 20, cache_read_input_tokens: 7 };
  await using host = await start(answering(529), answering(200, "claude-opus-4-8", used), answering(404));
  expect(await host.send("model", "/v1/messages", asking("claude-opus-4-8"))).toBe(200);
  expect(await host.send("model", "/v1/messages", asking('evil"} 1\nclaudecluster_engine_up 7'))).toBe(404);
  await host.server[Symbol.asyncDispose]();
  expect(await host.send("model", "/v1/messages", asking("claude-opus-4-8"))).toBe(502);
  const said = await host.meters.text();
  expect(said).toContain('claudecluster_model_requests_total{model="claude-opus-4-8",status="200"} 1\n');
  expect(said).toContain('claudecluster_model_requests_total{model="other",status="404"} 1\n');
  expect(said).toContain('claudecluster_model_requests_total{model="claude-opus-4-8",status="none"} 1\n');
  expect(said).toContain('claudecluster_model_retries_total{status="529"} 1\n');
  expect(said).toContain('claudecluster_model_retries_total{status="none"} 1\n');
  expect(said).toContain('claudecluster_model_tokens_total{model="claude-opus-4-8",kind="input"} 1000000\n');
  expect(said).toContain('claudecluster_model_tokens_total{model="claude-opus-4-8",kind="cache_read"} 7\n');
  expect(said).toMatch(/^claudecluster_model_cost_usd_total\{model="claude-opus-4-8"\} 5\.000/m);
  expect(said).toMatch(/^claudecluster_model_answer_delay_seconds_count\{model="claude-opus-4-8"\} 2$/m);
  expect(Number(/egress_bytes_total\{gateway="model"\} (\d+)/.exec(said)![1])).toBeGreaterThan(300);
  expect(said).not.toContain("evil");
  expect(said).not.toContain("claudecluster_engine_up 7");
});

test("counts what was refused, each time, by gateway", async () => {
  await using host = await start();
  for (let count = 0; count < 3; count++) {
    expect(await host.send("proxy", `http://secret-${count}.example/`)).toBe(403);
    expect(await host.send("git", "/http/secret.example/repository/git-receive-pack")).toBeGreaterThanOrEqual(400);
  }
  const said = await host.meters.text();
  expect(said).toContain('claudecluster_egress_decisions_total{gateway="proxy",decision="refused"} 3\n');
  expect(said).toContain('claudecluster_egress_decisions_total{gateway="proxy",decision="allowed"} 0\n');
  expect(said).toContain('claudecluster_pushes_total{decision="refused"} 0\n');
  expect(said).not.toContain("secret");
});

test("says of a day's budget what is left of it, by what it bounds", () => {
  using store = SqliteStore.open(":memory:");
  const today = new Date().toISOString().slice(0, 10);
  const usage = { requestCount: 3, inputTokenCount: 10n, outputTokenCount: 5n, costUsd: 1.25 };
  store.usage.add("ses_a", today, create(MeteredUsageSchema, usage));
  const left = (budget: object) => leftToday(create(BudgetSchema, budget), store.usage);
  expect(left({})).toEqual({});
  expect(left({ maxCostUsd: 2 })).toEqual({ usd: 0.75 });
  expect(left({ maxCostUsd: 1, maxTokenCount: 100n, maxRequestCount: 5 })).toEqual({ usd: 0, tokens: 85, requests: 2 });
});
