import { afterAll, beforeAll, expect, test } from "vitest";
import type { SessionSummary } from "../../host/present/session-summary.ts";
import { claudecluster } from "../support/claudecluster.ts";
import { attributeOf, type OtlpSpan, pointOf, startOtlpReceiver } from "../support/otlp-receiver.ts";
import { type Rig, startRig } from "../support/rig.ts";

let stack: AsyncDisposableStack;
let rig: Rig;
let receiver: Awaited<ReturnType<typeof startOtlpReceiver>>;
let session: SessionSummary;

const FORGED = {
  resourceMetrics: [
    {
      resource: { attributes: [{ key: "claudecluster.session.id", value: { stringValue: "ses_forged" } }] },
      scopeMetrics: [{ metrics: [{ name: "claude_code.forged" }, { name: "claudecluster_forged" }] }],
    },
  ],
};
const post = (path: string, data: string, header = "content-type: application/json") =>
  `curl -sS -o /dev/null -w "%{http_code}" "$HTTP_PROXY${path}" -H "${header}" -H "x-forged: header" ${data}`;

/** What a container's own words get it. */
const COMMANDS = [
  `echo "answers $(${post("/v1/metrics", `-d '${JSON.stringify(FORGED)}'`)} \
    ; ${post("/v1/metrics?forged=query", `-d '${JSON.stringify(FORGED)}'`)} \
    ; ${post("/v1/logs", "-d x", "content-type: application/x-protobuf")} \
    ; head -c 3000000 /dev/zero | tr '\\0' ' ' | ${post("/v1/traces", "--data-binary @-")})"`,
];

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  receiver = stack.use(await startOtlpReceiver());
  const otlp = { endpoint: receiver.url, headers: { "x-collector": "key" }, interval_seconds: 1, claude: true };
  rig = stack.use(await startRig({ config: { otlp, warm: 1 } }));
  const task = `[scenario: call-tools ${JSON.stringify(COMMANDS.map((command) => ({ name: "Bash", input: { command } })))}]`;
  const { summary, text } = await rig.mcp.spawn({ task, repository: rig.repository });
  expect(summary, text).toMatchObject({ state: "succeeded" });
  session = summary!;
});
afterAll(() => stack.disposeAsync());

/** Bodies of Claude Code's, by what they are. */
function bodies(kind: string): string[] {
  const ofIt = receiver.others.filter(({ path, body }) => path === `/v1/${kind}` && body.includes('"claude-code"'));
  return ofIt.map(({ body }) => body.toString());
}

test("Claude Code's own telemetry arrives, with the host's headers, stamped with its session", async () => {
  await expect.poll(() => ["metrics", "logs", "traces"].map((kind) => bodies(kind).length > 0)).not.toContain(false);
  expect(bodies("metrics").join()).toContain('"claude_code.cost.usage"');
  expect(bodies("logs").join()).toContain("claude_code.api_request");
  for (const body of ["metrics", "logs", "traces"].flatMap(bodies)) {
    expect(body).toContain(`{"key":"claudecluster.session.id","value":{"stringValue":"${session.session_id}"}}`);
    expect(body).toContain(`{"key":"claudecluster.repository","value":{"stringValue":"${rig.repository}"}}`);
  }
  for (const { headers } of receiver.others) {
    expect(headers).toMatchObject({ "x-collector": "key" });
    expect(headers).not.toHaveProperty("x-forged");
  }
});

test("its spans are in the session's trace, and the host's requests to the model name theirs", async () => {
  const root = () => receiver.spans().find(({ name }) => name === "invoke_agent claude");
  await expect.poll(root, { timeout: 20_000 }).toBeDefined();
  const { traceId, spanId } = root()!;
  const spans = receiver.spans("claude-code");
  expect(new Set(spans.map((span) => span.traceId))).toEqual(new Set([traceId]));
  const interaction = spans.find(({ name }) => name === "claude_code.interaction");
  expect(interaction).toMatchObject({ parentSpanId: spanId });
  const links = receiver.spans().flatMap((span) => (span.name.startsWith("chat ") ? (span.links ?? []) : []));
  const asking = spans.filter(({ name }) => name === "claude_code.llm_request");
  expect(asking.map((span) => span.spanId)).toEqual(expect.arrayContaining(links.map((link) => link.spanId)));
  expect(links.length).toBeGreaterThan(0);
  for (const { headers } of rig.model.requests) expect(headers).not.toHaveProperty("traceparent");
});

test("what a container claims is overwritten or left out, and too much is refused and counted", async () => {
  const said = JSON.stringify(rig.model.requests.map(({ body }) => body));
  expect(said).toContain("answers 200404415413");
  const forged = bodies("metrics").filter((body) => body.includes("claude_code.forged"));
  expect(forged).toHaveLength(1);
  const pushed = receiver.others.map(({ body }) => body.toString()).join();
  for (const claim of ["ses_forged", "claudecluster_forged"]) expect(pushed).not.toContain(claim);
  expect(receiver.others.map(({ path }) => path).join()).not.toContain("forged");
  const count = () => pointOf(receiver.pushes.at(-1)!, "claudecluster_telemetry_dropped_total", { kind: "claude" });
  await expect.poll(count, { timeout: 10_000 }).toBe(1);
});

test("nothing that was said is in it", () => {
  const pushed = receiver.others.map(({ body }) => body.toString()).join();
  for (const text of ["call-tools", "answers", rig.key]) expect(pushed).not.toContain(text);
});

test("a prepared Claude's spans are in the trace of the session that took it", async () => {
  const status = async () => (await claudecluster(rig.mcp.place, ["status"])).stdout;
  await expect.poll(status, { timeout: 60_000, interval: 500 }).toContain("1 of 1 ready");
  const { summary } = await rig.mcp.spawn({ task: "Say hello", repository: rig.repository });
  expect(await status()).toContain("1 taken");
  const isRoot = (span: OtlpSpan) =>
    attributeOf(span, "gen_ai.conversation.id") === summary!.session_id && span.kind === 3;
  const root = () => receiver.spans().find((span) => isRoot(span) && span.name === "invoke_agent claude");
  await expect.poll(root, { timeout: 20_000 }).toBeDefined();
  const ofIt = receiver.spans("claude-code").filter(({ traceId }) => traceId === root()!.traceId);
  expect(ofIt.find(({ name }) => name === "claude_code.interaction")).toMatchObject({ parentSpanId: root()!.spanId });
});
