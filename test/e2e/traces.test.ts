import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { SessionSummary } from "../../host/present/session-summary.ts";
import { DATA } from "../../host/mcp/tool-result.ts";
import { claudecluster } from "../support/claudecluster.ts";
import { attributeOf, type OtlpSpan, startOtlpReceiver } from "../support/otlp-receiver.ts";
import { type Rig, startRig } from "../support/rig.ts";

const TRACES = ["0af7651916cd43dd8448eb211c80319c", "4bf92f3577b34da6a3ce929d0e0e4736"];
const PARENT = "b7ad6b7169203331";
const CLAIMED = "1234567890abcdef";

let stack: AsyncDisposableStack;
let rig: Rig;
let receiver: Awaited<ReturnType<typeof startOtlpReceiver>>;
/** The session in a container of its own, and the one in a prepared container. */
const sessions: SessionSummary[] = [];

/** Says what is in Claude's environment, and asks the model with headers that are not to leave the host. */
const COMMANDS = [
  'echo "told $TRACEPARENT"',
  `curl -sS -o /dev/null -w "asked %{http_code}" $ANTHROPIC_BASE_URL/v1/messages -H "anthropic-version: 2023-06-01"` +
    ` -H "traceparent: \${TRACEPARENT%-*-*}-${CLAIMED}-01" -H "tracestate: a=secret-state" -H "baggage: b=secret-baggage"` +
    ` -d '{"model":"claude-opus-4-1","max_tokens":9,"messages":[{"role":"user","content":"secret question"}]}'`,
  `curl -sS -o /dev/null $ANTHROPIC_BASE_URL/v1/messages -H "anthropic-version: 2023-06-01" -H "traceparent: 00-${"f".repeat(32)}-${"e".repeat(16)}-01"` +
    ` -d '{"model":"claude-opus-4-1","max_tokens":9,"messages":[{"role":"user","content":"secret question"}]}'`,
];

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  receiver = stack.use(await startOtlpReceiver());
  const otlp = { endpoint: receiver.url };
  rig = stack.use(await startRig({ config: { otlp, warm: 1, log_level: "info" } }));
  const { client, place } = rig.mcp;
  const task = `[scenario: call-tools ${JSON.stringify(COMMANDS.map((command) => ({ name: "Bash", input: { command } })))}]`;
  for (const trace of TRACES) {
    const called = await client.callTool(
      {
        name: "spawn_claude_container",
        arguments: { task, repository: rig.repository },
        _meta: { traceparent: `00-${trace}-${PARENT}-01` },
      },
      { timeout: 120_000 },
    );
    const summary = called._meta?.[DATA] as SessionSummary;
    expect(summary).toMatchObject({ state: "succeeded" });
    sessions.push(summary);
    const status = async () => expect((await claudecluster(place, ["status"])).stdout).toContain("1 of 1 ready");
    await vi.waitFor(status, { timeout: 60_000, interval: 500 });
  }
});
afterAll(() => stack.disposeAsync());

/** The spans of a session, once the last one has come. */
async function traceOf(session: SessionSummary): Promise<OtlpSpan[]> {
  const ofIt = () => {
    const all = receiver.spans();
    const root = all.find((span) => attributeOf(span, "gen_ai.conversation.id") === session.session_id && isRoot(span));
    return root && all.filter(({ traceId }) => traceId === root.traceId);
  };
  await expect.poll(ofIt, { timeout: 30_000 }).toBeDefined();
  return ofIt()!;
}

const isRoot = ({ name }: OtlpSpan) => name === "invoke_agent claude";

test.each([0, 1])("a session joins its parent's trace, as a tree of what it did (%i)", async (index) => {
  const session = sessions[index]!;
  const spans = await traceOf(session);
  const [root, ...others] = spans.filter(isRoot);
  expect(others).toEqual([]);
  expect(root).toMatchObject({ traceId: TRACES[index], parentSpanId: PARENT, kind: 3 });
  expect(attributeOf(root!, "claudecluster.session.state")).toBe("succeeded");
  expect(attributeOf(root!, "claudecluster.repository")).toBe(rig.repository);
  const [turn, ...turns] = spans.filter(({ name }) => name === "turn");
  expect(turns).toEqual([]);
  const parents = (name: RegExp) => spans.filter((span) => name.test(span.name)).map((span) => span.parentSpanId);
  expect(new Set([...parents(/^phase /), turn!.parentSpanId])).toEqual(new Set([root!.spanId]));
  expect(parents(/^execute_tool Bash$/)).toEqual(COMMANDS.map(() => turn!.spanId));
  expect(new Set(parents(/^chat /))).toEqual(new Set([turn!.spanId]));
  expect(spans.map(({ name }) => name)).toEqual(
    expect.arrayContaining(["phase queued", "phase work", "phase collect"]),
  );
  expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length);
  for (const { startTimeUnixNano: start, endTimeUnixNano: end } of spans) {
    expect(BigInt(start) <= BigInt(end)).toBe(true);
    expect(BigInt(root!.startTimeUnixNano) <= BigInt(start) && BigInt(end) <= BigInt(root!.endTimeUnixNano)).toBe(true);
  }
});

test("requests to the model are the host's word: with what they used, and what the container claims as a link", async () => {
  const spans = await traceOf(sessions[0]!);
  const requests = spans.filter(({ name }) => name.startsWith("chat "));
  // Claude asks once more than it uses tools.
  expect(requests.length).toBeGreaterThanOrEqual(COMMANDS.length + 3);
  for (const request of requests) {
    expect(request.kind).toBe(3);
    expect(attributeOf(request, "http.response.status_code")).toBe(200);
    expect(attributeOf(request, "gen_ai.usage.output_tokens")).toBeGreaterThan(0);
  }
  const [root] = spans.filter(isRoot);
  const total = requests.reduce((sum, span) => sum + Number(attributeOf(span, "gen_ai.usage.output_tokens")), 0);
  expect(attributeOf(root!, "gen_ai.usage.output_tokens")).toBe(total);
  const links = requests.flatMap((request) => request.links ?? []);
  expect(links).toMatchObject([{ traceId: TRACES[0], spanId: CLAIMED }]);
});

test("nothing of a trace goes on to the model, and nothing that was said to the collector", () => {
  expect(rig.model.requests.length).toBeGreaterThan(2 * COMMANDS.length);
  for (const { headers } of rig.model.requests) {
    for (const name of ["traceparent", "tracestate", "baggage"]) expect(headers).not.toHaveProperty(name);
  }
  const pushed = receiver.others.map(({ body }) => body.toString()).join("\n");
  for (const said of ["secret", "told", "curl", rig.key]) expect(pushed).not.toContain(said);
});

test("Claude knows its session's place in the trace, in a prepared container too", async () => {
  const bodies = rig.model.requests.map(({ body }) => JSON.stringify(body));
  const told = new Set(bodies.flatMap((body) => [...body.matchAll(/told ([0-9a-f-]*)/g)].map(([, text]) => text)));
  const roots = (await Promise.all(sessions.map(traceOf))).map((spans) => spans.find(isRoot)!);
  expect([...told].filter((text) => text !== "")).toEqual(roots.map(({ spanId }, i) => `00-${TRACES[i]}-${spanId}-01`));
});

test("the host's log says which trace a session's lines belong to", async () => {
  const log = await readFile(join(rig.mcp.stateDirectory, "host.log"), "utf8");
  const lines = log
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  for (const [index, { session_id: sessionId }] of sessions.entries()) {
    const ofIt = lines.filter((line) => line["sessionId"] === sessionId);
    expect(ofIt.map(({ msg }) => msg)).toContain("session finished");
    for (const line of ofIt) expect(line["trace_id"]).toBe(TRACES[index]);
  }
});
