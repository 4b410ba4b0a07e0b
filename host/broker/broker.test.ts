import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { type Duplex, duplexPair } from "node:stream";
import { text } from "node:stream/consumers";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { pino } from "pino";
import { afterEach, expect, test } from "vitest";
import type { MeteredUsage } from "../../proto/index.ts";
import { NO_GIT_CREDENTIALS } from "../../test/support/no-git-credentials.ts";
import { Broker, type BrokerOptions } from "./broker.ts";
import { type Credential, type CredentialSource, fixedCredential } from "./model/credential.ts";

const logger = pino({ level: "silent" });
const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function listen(server: Server | ReturnType<typeof createTcpServer>): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => new Promise((resolve) => server.close(resolve)));
  return (server.address() as AddressInfo).port;
}

const free = () => Promise.resolve({ held: { [Symbol.dispose]: () => {} } });

interface Rig {
  broker: Broker;
  decisions: string[];
  send(
    listener: "model" | "proxy",
    options: { method?: string; path: string; headers?: Record<string, string>; body?: string },
  ): Promise<{ status: number; body: string; retry?: string }>;
  connect(listener: "model" | "proxy"): Duplex;
}

function createBroker(
  endpoint: string,
  allowed: string[] = [],
  credential: Credential | CredentialSource = { kind: "api-key", value: "real-key" },
  model: Partial<BrokerOptions["model"]> = {},
): Rig {
  const decisions: string[] = [];
  const broker = new Broker({
    model: {
      endpoint: new URL(endpoint),
      credentials: "read" in credential ? credential : fixedCredential(credential),
      policy: { allowedModels: undefined, allowedBetas: ["one"], maxOutputTokens: 256_000 },
      fallbackModel: undefined,
      spending: { reserve: free, add: () => {} },
      onRetry: () => {},
      onReach: () => {},
      retryDelaysMs: [0, 0, 0],
      ...model,
    },
    git: NO_GIT_CREDENTIALS,
    proxy: { maxEgressBytes: 1e9 },
    egress: { open: false, allowed: new Set(), allowedPrivate: new Set(allowed) },
    logger,
    onDecision: ({ destination, allowed: yes }) => decisions.push(`${yes ? "+" : "-"}${destination}`),
  });
  cleanups.push(async () => broker[Symbol.dispose]());
  const connect = (listener: "model" | "proxy") => {
    const [ours, theirs] = duplexPair();
    broker.accept(listener, theirs);
    return ours;
  };
  return {
    broker,
    decisions,
    connect,
    async send(listener, { method = "POST", path, headers = {}, body = "" }) {
      const call = request({ method, path, headers, createConnection: () => connect(listener) as never });
      call.end(body);
      const [answer] = (await once(call, "response")) as [IncomingMessage];
      const retry = answer.headers["x-should-retry"] as string | undefined;
      return { status: answer.statusCode ?? 0, body: await text(answer), ...(retry !== undefined && { retry }) };
    },
  };
}

async function fakeApi(): Promise<{ url: string; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = [];
  const port = await listen(
    createServer((incoming, response) => {
      requests.push(incoming);
      incoming.pipe(response);
    }),
  );
  return { url: `http://127.0.0.1:${port}`, requests };
}

test("adds the key, rebuilds the headers and writes the body anew", async () => {
  const api = await fakeApi();
  const { send } = createBroker(api.url);
  const headers = {
    "x-api-key": "placeholder",
    authorization: "Bearer theirs",
    cookie: "a=b",
    "x-forwarded-for": "1.2.3.4",
    "anthropic-version": "2023-06-01",
    "anthropic-beta": "one,effort-2025-11-24",
    "content-type": "application/json; charset=utf-16",
  };
  const answer = await send("model", {
    path: "/v1/messages?beta=true&x=y",
    headers,
    body: '{"model":"a", "model":"b"}',
  });
  expect(answer).toEqual({ status: 200, body: '{"model":"b"}' });
  const [seen] = api.requests;
  expect(seen?.url).toBe("/v1/messages?beta=true");
  expect(seen?.headers).toMatchObject({
    "x-api-key": "real-key",
    // What was read is what is sent, and nobody is told to read it in another way.
    "content-type": "application/json",
    "anthropic-beta": "one,effort-2025-11-24",
    "anthropic-version": "2023-06-01",
  });
  expect(Object.keys(seen!.headers)).not.toEqual(expect.arrayContaining(["authorization"]));
  expect(seen!.headers["cookie"] ?? seen!.headers["x-forwarded-for"]).toBeUndefined();
});

test.each([
  [{ kind: "auth-token", value: "t" } as const, { authorization: "Bearer t" }],
  [
    { kind: "oauth-token", value: "t" } as const,
    { authorization: "Bearer t", "anthropic-beta": "one,oauth-2025-04-20" },
  ],
])("shows a credential of kind $kind as the API wants it", async (credential, expected) => {
  const api = await fakeApi();
  const { send } = createBroker(api.url, [], credential);
  await send("model", { path: "/v1/messages", headers: { "anthropic-beta": "one" }, body: "{}" });
  expect(api.requests[0]?.headers).toMatchObject(expected);
  expect(api.requests[0]?.headers["x-api-key"]).toBeUndefined();
});

test.each([
  ["GET", "/v1/models"],
  ["GET", "/v1/messages"],
  ["POST", "/v1/files"],
  ["POST", "/v1/messages/batches"],
  ["POST", "/v1/messages/../files"],
  ["POST", "/v1/messages%2f..%2ffiles"],
  ["POST", "//v1/messages"],
  ["POST", "/v1/messages/"],
  ["POST", "/V1/messages"],
  ["POST", "http://evil.test/v1/messages"],
  ["DELETE", "/v1/messages"],
])("refuses %s %s", async (method, path) => {
  const api = await fakeApi();
  const { send } = createBroker(api.url);
  expect((await send("model", { method, path })).status).toBe(404);
  expect(api.requests).toHaveLength(0);
});

test("answers with an API error when the endpoint is not there", async () => {
  const { send } = createBroker("http://127.0.0.1:1");
  const answer = await send("model", { path: "/v1/messages", body: "{}" });
  expect(answer.status).toBe(502);
  expect(JSON.parse(answer.body)).toMatchObject({ type: "error", error: { type: "api_error" } });
});

test("refuses what the API would do outside of the container, and says so", async () => {
  const api = await fakeApi();
  const { send, decisions } = createBroker(api.url);
  const body = JSON.stringify({ tools: [{ type: "web_search_20250305", name: "web_search" }] });
  const answer = await send("model", { path: "/v1/messages", body });
  expect(answer.status).toBe(400);
  expect(JSON.parse(answer.body)).toMatchObject({ error: { type: "invalid_request_error" } });
  expect(answer.body).toContain("web_search_20250305");
  expect(decisions).toEqual([`-${new URL(api.url).host}`]);
  expect((await send("model", { path: "/v1/messages", body: "{" })).status).toBe(400);
  expect((await send("model", { path: "/v1/messages", body: `"${"x".repeat(33 * 2 ** 20)}"` })).status).toBe(413);
  expect(api.requests).toHaveLength(0);
});

/** An endpoint that gives its answers one after the other, the last one again and again. Undefined breaks the connection. */
async function answering(
  ...answers: ((response: ServerResponse) => void)[]
): Promise<{ url: string; bodies: string[] }> {
  const bodies: string[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      bodies.push(body);
      answers[Math.min(bodies.length, answers.length) - 1]!(response);
    });
  });
  return { url: `http://127.0.0.1:${await listen(server)}`, bodies };
}

const well = (response: ServerResponse) =>
  response
    .writeHead(200, { "content-type": "application/json" })
    .end(JSON.stringify({ model: "claude-sonnet-4-6", usage: { input_tokens: 10, output_tokens: 20 } }));
const failing =
  (status: number, headers = {}) =>
  (response: ServerResponse) =>
    response.writeHead(status, headers).end("{}");
const cut = (response: ServerResponse) => response.destroy();

/** What is counted and told while a request is sent. */
function observed() {
  const usages: MeteredUsage[] = [];
  const retries: string[] = [];
  const reaches: (string | undefined)[] = [];
  const options: Partial<BrokerOptions["model"]> = {
    spending: { reserve: free, add: (usage) => usages.push(usage) },
    onRetry: ({ attempt, maxAttemptCount, httpStatus, reason }) =>
      retries.push(`${attempt}/${maxAttemptCount} ${httpStatus} ${reason}`),
    onReach: (unreached) => reaches.push(unreached),
  };
  return { usages, retries, reaches, options };
}

const MESSAGE = { path: "/v1/messages", body: '{"model":"claude-opus-4-8"}' };

test("leaves out betas that it does not know, and says so once", async () => {
  const api = await fakeApi();
  const { send, decisions } = createBroker(api.url);
  const headers = { "anthropic-beta": "files-api-2025-04-14, one" };
  for (let count = 0; count < 2; count++)
    expect(await send("model", { ...MESSAGE, headers })).toMatchObject({ status: 200 });
  expect(api.requests.map((seen) => seen.headers["anthropic-beta"])).toEqual(["one", "one"]);
  expect(decisions).toEqual([`+${new URL(api.url).host}`]);
});

test("reads no body that would hold up the host while it is read", async () => {
  const api = await fakeApi();
  const { send, decisions } = createBroker(api.url);
  const body = `{"model":"a","messages":[${"{},".repeat(300_000)}{}]}`;
  const answer = await send("model", { path: "/v1/messages", body });
  expect(answer).toMatchObject({
    status: 400,
    body: expect.stringContaining("more values than any request") as string,
  });
  expect(api.requests).toHaveLength(0);
  expect(decisions).toHaveLength(1);
});

test("asks again where the endpoint is busy, and counts the answer once", async () => {
  const api = await answering(failing(529), failing(429, { "retry-after": "0" }), well);
  const { usages, retries, reaches, options } = observed();
  const { send } = createBroker(api.url, [], undefined, options);
  expect((await send("model", MESSAGE)).status).toBe(200);
  expect(retries).toEqual(["1/4 529 overloaded", "2/4 429 rate_limit"]);
  expect(reaches).toEqual([undefined, undefined, undefined]);
  expect(usages).toMatchObject([{ requestCount: 1, inputTokenCount: 10n, outputTokenCount: 20n }]);
  // Counting tokens costs nothing.
  expect((await send("model", { ...MESSAGE, path: "/v1/messages/count_tokens" })).status).toBe(200);
  expect(usages).toHaveLength(1);
});

/** As Claude asks: what is set aside are 15 tokens and 1000 more. */
const WHOLE = { path: "/v1/messages", body: '{"model":"claude-opus-4-8","max_tokens":1000}' };
const STREAMED = { ...WHOLE, body: '{"model":"claude-opus-4-8","max_tokens":1000,"stream":true}' };
const BEGUN = { "content-type": "application/json", "content-length": "1000" };

test("leaves it to Claude to send again what was sent and not answered, and counts it", async () => {
  const api = await answering(cut, well);
  const { usages, retries, reaches, options } = observed();
  const { send } = createBroker(api.url, [], undefined, options);
  const unreached = `model endpoint ${new URL(api.url).host} not reached (ECONNRESET)`;
  expect(await send("model", WHOLE)).toMatchObject({ status: 502, body: expect.stringContaining(unreached) as string });
  expect(retries).toEqual([]);
  expect(reaches).toEqual([unreached]);
  expect(usages).toMatchObject([{ requestCount: 1, inputTokenCount: 15n, outputTokenCount: 1000n }]);
  expect((await send("model", WHOLE)).status).toBe(200);
  expect(usages[1]).toMatchObject({ inputTokenCount: 10n, outputTokenCount: 20n });
});

test("asks again at no cost where a kept connection turns out to be closed", async () => {
  const closing: Socket[] = [];
  const port = await listen(
    createServer((request, response) => {
      request.resume();
      // From the second on: as a server does whose patience ends in that moment.
      if (closing.includes(request.socket)) return void request.socket.destroy();
      closing.push(request.socket);
      well(response);
    }),
  );
  const { usages, retries, options } = observed();
  const { send } = createBroker(`http://127.0.0.1:${port}`, [], undefined, options);
  for (let count = 0; count < 2; count++) expect((await send("model", WHOLE)).status).toBe(200);
  expect(retries).toHaveLength(1);
  expect(usages).toMatchObject([{ outputTokenCount: 20n }, { outputTokenCount: 20n }]);
});

const EVENTS = { "content-type": "text/event-stream" };
const STARTED = `data: {"type":"message_start","message":{"usage":{"input_tokens":1}}}\n\n`;

test.each([
  [
    "an overload",
    (response: ServerResponse) =>
      response.writeHead(200, EVENTS).end(`${STARTED}data: {"type":"error","error":{"type":"overloaded_error"}}\n\n`),
    ["1/0 0 overloaded_error in the middle of an answer"],
  ],
  [
    "a lost connection",
    (response: ServerResponse) => response.writeHead(200, EVENTS).write(STARTED, () => response.destroy()),
    ["1/0 0 connection closed in the middle of an answer"],
  ],
  ["nothing", (response: ServerResponse) => response.writeHead(200, EVENTS).end(STARTED), []],
])("tells of %s in the middle of an answer, which Claude Code may pass over", async (_what, answer, told) => {
  const counted = Promise.withResolvers<MeteredUsage>();
  const { retries, options } = observed();
  const api = await answering((response) => void answer(response));
  const spending = { reserve: free, add: counted.resolve };
  await createBroker(api.url, [], undefined, { ...options, spending })
    .send("model", STREAMED)
    .catch(() => {});
  await counted.promise;
  expect(retries).toEqual(told);
});

/** Sends a request whose answer is cut, and resolves with what is counted. */
async function countCut(message: typeof WHOLE, answer: (response: ServerResponse) => void): Promise<MeteredUsage> {
  const counted = Promise.withResolvers<MeteredUsage>();
  const api = await answering(answer);
  const { send } = createBroker(api.url, [], undefined, { spending: { reserve: free, add: counted.resolve } });
  await send("model", message).catch(() => {});
  return counted.promise;
}

const setAside = { requestCount: 1, inputTokenCount: 15n, outputTokenCount: 1000n };
test.each([
  ["a whole answer", WHOLE, BEGUN, "{", setAside],
  ["a whole answer with another status", WHOLE, BEGUN, "{", setAside, 201],
  ["a whole answer in an encoding that is not known", WHOLE, { ...BEGUN, "content-encoding": "x" }, "{", setAside],
  [
    "a stream before its first event",
    STREAMED,
    { "content-type": "text/event-stream" },
    "event: mess",
    { requestCount: 1, inputTokenCount: 20n, outputTokenCount: 0n },
  ],
])(
  "counts what was set aside where the endpoint cuts %s",
  async (_what, message, headers, text, expected, status = 200) => {
    expect(
      await countCut(message, (response) => {
        response.writeHead(status, headers).write(text, () => response.destroy());
      }),
    ).toMatchObject(expected);
  },
);

test.each([
  ["gzip", gzipSync],
  ["br", brotliCompressSync],
] as const)("reads what an answer in %s used, also where it is cut", async (encoding, compress) => {
  const usage = 'data: {"type":"message_start","message":{"usage":{"input_tokens":900,"output_tokens":3}}}\n\n';
  const headers = { "content-type": "text/event-stream", "content-encoding": encoding };
  const bytes = compress(usage);
  expect(await countCut(STREAMED, (response) => void response.writeHead(200, headers).end(bytes))).toMatchObject({
    inputTokenCount: 900n,
    outputTokenCount: 3n,
  });
  const long = compress(usage + randomBytes(100_000).toString("hex"));
  expect(
    await countCut(STREAMED, (response) => {
      response.writeHead(200, headers).write(long.subarray(0, 60_000), () => response.destroy());
    }),
  ).toMatchObject({ inputTokenCount: 900n });
});

test.each([
  ["a long time to wait", 429, { "retry-after": "60" }, 1],
  ["the word that it is of no use", 529, { "x-should-retry": "false" }, 1],
  ["a mistake in the request", 400, {}, 1],
  ["its failure again and again", 529, {}, 4],
])("leaves it to Claude where the endpoint answers with %s", async (_what, status, headers, count) => {
  const api = await answering(failing(status, headers));
  const { usages, options } = observed();
  const { send } = createBroker(api.url, [], undefined, options);
  expect((await send("model", MESSAGE)).status).toBe(status);
  expect(api.bodies).toHaveLength(count);
  expect(usages).toEqual([]);
});

test("asks the other model where one is overloaded, and says so", async () => {
  const api = await answering(failing(529), well);
  const { retries, options } = observed();
  const fallbackModel = "claude-sonnet-4-6";
  const { send } = createBroker(api.url, [], undefined, { ...options, fallbackModel, retryDelaysMs: [] });
  expect((await send("model", MESSAGE)).status).toBe(200);
  expect(api.bodies.map((body) => (JSON.parse(body) as { model: string }).model)).toEqual([
    "claude-opus-4-8",
    fallbackModel,
  ]);
  expect(retries).toEqual([`1/1 529 overloaded, ${fallbackModel} is asked instead`]);
});

test("asks nothing once the budget is used up, and says why", async () => {
  const api = await answering(well);
  const refused = "The session's budget of $1.00 is used up ($1.02).";
  const spending = { reserve: () => Promise.resolve({ refused }), add: () => {} };
  const { send } = createBroker(api.url, [], undefined, { spending });
  const answer = await send("model", MESSAGE);
  expect(answer.status).toBe(400);
  expect(answer.body).toContain("budget of $1.00 is used up");
  expect(api.bodies).toEqual([]);
});

test("sets aside what a request may come to until its answer has been counted", async () => {
  const api = await answering(well);
  const steps: string[] = [];
  const ended = Promise.withResolvers<undefined>();
  const held = { [Symbol.dispose]: () => ended.resolve(void steps.push("ended")) };
  const spending = {
    reserve: ({ inputTokenCount, outputTokenCount, costUsd }: MeteredUsage) => {
      steps.push(`${inputTokenCount} ${outputTokenCount} $${costUsd.toFixed(2)}`);
      return Promise.resolve({ held });
    },
    add: () => steps.push("counted"),
  };
  const { send } = createBroker(api.url, [], undefined, { spending, fallbackModel: "claude-opus-4-1" });
  const body = JSON.stringify({ model: "claude-haiku-4-5", max_tokens: 20_000 });
  await send("model", { ...MESSAGE, body });
  await ended.promise;
  // Of the models that may answer the dearest counts: 20 000 tokens at $75 for a million.
  expect(steps).toEqual(["16 20000 $1.50", "counted", "ended"]);
  // What is no number of tokens is not believed to be few.
  await send("model", { ...MESSAGE, body: JSON.stringify({ max_tokens: -1.5 }) });
  expect(steps[3]).toMatch(/^7 256000 /);
});

test("has Claude try again where others under way may use up the budget", async () => {
  const api = await answering(well);
  const occupied = "What is left of the budget may be used up by the requests under way.";
  const spending = { reserve: () => Promise.resolve({ occupied }), add: () => {} };
  const { send } = createBroker(api.url, [], undefined, { spending });
  expect(await send("model", MESSAGE)).toMatchObject({
    status: 503,
    retry: "true",
    body: expect.stringContaining(occupied) as string,
  });
  expect(api.bodies).toEqual([]);
});

test("has no more than 16 of a session's requests under way", async () => {
  const waiting: ServerResponse[] = [];
  const arrived = Promise.withResolvers<undefined>();
  const api = await answering((response) => {
    if (waiting.push(response) === 16) arrived.resolve(undefined);
  });
  const { send } = createBroker(api.url);
  const sent = Array.from({ length: 16 }, () => send("model", MESSAGE));
  await arrived.promise;
  expect((await send("model", MESSAGE)).status).toBe(429);
  for (const response of waiting) well(response);
  await Promise.all(sent);
  expect(api.bodies).toHaveLength(16);
});

test("counts what came where Claude hangs up in the middle of an answer", async () => {
  const counted = Promise.withResolvers<MeteredUsage>();
  const api = await answering((response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(
      'data: {"type":"message_start","message":{"model":"claude-opus-4-8","usage":{"input_tokens":900,"output_tokens":1}}}\n\n',
    );
  });
  const { broker } = createBroker(api.url, [], undefined, {
    spending: { reserve: free, add: counted.resolve },
  });
  const [claude, connection] = duplexPair();
  broker.accept("model", connection);
  claude.write("POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}");
  await once(claude, "data");
  connection.destroy();
  expect(await counted.promise).toMatchObject({ inputTokenCount: 900n, outputTokenCount: 1n });
});

/** Sends a request of which Claude gives up; `hangUp` ends its connection and resolves when all has been counted. */
function claudeThatGivesUp(endpoint: string, model: Partial<BrokerOptions["model"]>, { stream = true } = {}) {
  const counted: MeteredUsage[] = [];
  const { broker } = createBroker(endpoint, [], undefined, {
    spending: { reserve: free, add: (usage) => counted.push(usage) },
    retryDelaysMs: [1e6],
    ...model,
  });
  const [claude, connection] = duplexPair();
  broker.accept("model", connection);
  const body = JSON.stringify({ model: "claude-opus-4-8", stream, messages: "x".repeat(900) });
  claude.write(`POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  return async () => {
    await new Promise(setImmediate);
    connection.destroy();
    await once(connection, "close");
    await new Promise(setImmediate);
    return counted;
  };
}

async function refusingEndpoint(): Promise<string> {
  const server = createTcpServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return `http://127.0.0.1:${port}`;
}

test.each([
  ["was not reached", refusingEndpoint],
  ["has no address", () => Promise.resolve("http://model.invalid")],
  ["does not speak TLS", async () => (await answering(well)).url.replace("http:", "https:")],
  ["was busy", async () => (await answering(failing(429))).url],
])("counts nothing where Claude gives up and the endpoint %s", async (_what, endpoint) => {
  const retried = Promise.withResolvers<undefined>();
  const hangUp = claudeThatGivesUp(await endpoint(), { onRetry: () => retried.resolve(undefined) });
  await retried.promise;
  expect(await hangUp()).toEqual([]);
});

test.each([
  ["a request for a stream that was sent", 1, true, 0n],
  ["a request for a stream that was sent on a connection that had served one before", 2, true, 0n],
  ["what was set aside for a request that was sent", 1, false, 256_000n],
])("counts %s where Claude gives up before an answer", async (_what, requestCount, stream, outputTokenCount) => {
  const arrived = Promise.withResolvers<undefined>();
  let count = 0;
  const api = await answering((response) => {
    if (++count === requestCount) arrived.resolve(undefined);
    else failing(529)(response);
  });
  const hangUp = claudeThatGivesUp(api.url, { retryDelaysMs: [0] }, { stream });
  await arrived.promise;
  expect(await hangUp()).toMatchObject([{ requestCount: 1, outputTokenCount }]);
});

test("says nothing of an answer that Claude gives up", async () => {
  const { retries, options } = observed();
  const begun = Promise.withResolvers<undefined>();
  const counted = Promise.withResolvers<MeteredUsage>();
  const api = await answering((response) => {
    response.writeHead(200, EVENTS).write(STARTED, () => begun.resolve(undefined));
  });
  const spending = { reserve: free, add: counted.resolve };
  const hangUp = claudeThatGivesUp(api.url, { ...options, spending });
  await begun.promise;
  await hangUp();
  await counted.promise;
  await new Promise(setImmediate);
  expect(retries).toEqual([]);
});

const SHORT = { noticeMs: 50, streamedMs: 1000, wholeMs: 1000 };

test("names an endpoint that takes a request and says nothing, and gives up in the end", async () => {
  const api = await answering(() => {});
  const { usages, reaches, options } = observed();
  const { send } = createBroker(api.url, [], undefined, { ...options, silence: SHORT });
  const answer = await send("model", STREAMED);
  const { host } = new URL(api.url);
  const unreached = `model endpoint ${host} not reached (it said nothing for 1 s)`;
  expect(answer).toMatchObject({ status: 502, body: expect.stringContaining(unreached) as string });
  expect(reaches).toEqual([`model endpoint ${host} has said nothing for 0.05 s`, unreached]);
  expect(usages).toMatchObject([{ inputTokenCount: 20n, outputTokenCount: 0n }]);
});

test.each([
  ["bytes of a line, one by one", "x", 10],
  ["pings", 'event: ping\ndata: {"type": "ping"}\n\n', 10],
])("names an endpoint that sends nothing but %s, and says when it goes on", async (_what, piece, intervalMs) => {
  const told = Promise.withResolvers<string | undefined>();
  const again = Promise.withResolvers<undefined>();
  const server = answering((response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const timer = setInterval(() => response.write(piece), intervalMs);
    void told.promise.then(() => {
      clearInterval(timer);
      response.end(`\ndata: {"type":"message_delta","usage":{"output_tokens":1}}\n\n`);
    });
  });
  const { url } = await server;
  const onReach = (unreached: string | undefined) => {
    if (unreached !== undefined) told.resolve(unreached);
    else void told.promise.then(() => again.resolve(undefined));
  };
  const { send } = createBroker(url, [], undefined, { onReach, silence: SHORT });
  expect((await send("model", STREAMED)).status).toBe(200);
  expect(await told.promise).toContain("has said nothing for 0.05 s");
  await again.promise;
});

test("says where an endpoint redirects to, which Claude could not follow", async () => {
  const api = await answering(failing(308, { location: "https://api.example/v1/messages?key=x" }));
  const { usages, reaches, options } = observed();
  const { send } = createBroker(api.url, [], undefined, options);
  const reason = `model endpoint ${new URL(api.url).host} redirects to https://api.example/v1/messages`;
  expect(await send("model", STREAMED)).toMatchObject({
    status: 502,
    retry: "false",
    body: expect.stringContaining(`${reason}.`) as string,
  });
  expect(reaches.at(-1)).toBe(reason);
  expect(usages).toEqual([]);
});

test("ends the request to the model when Claude hangs up", async () => {
  const closed = Promise.withResolvers<undefined>();
  const arrived = Promise.withResolvers<undefined>();
  const port = await listen(
    createServer((_incoming, response) => {
      response.write("begin");
      arrived.resolve(undefined);
      response.on("close", () => closed.resolve(undefined));
    }),
  );
  const { broker } = createBroker(`http://127.0.0.1:${port}`);
  const [claude, connection] = duplexPair();
  broker.accept("model", connection);
  claude.write("POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}");
  await arrived.promise;
  // What a tunnel does when Claude has closed its end.
  connection.destroy();
  await closed.promise;
});

test("carries CONNECT to a listed host and port, both ways, to the end of each", async () => {
  const port = await listen(createTcpServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)));
  const { connect, decisions } = createBroker("http://x", [`127.0.0.1:${port}`]);
  const socket = connect("proxy");
  socket.write(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\nhost: x\r\n\r\n`);
  const [head] = (await once(socket, "data")) as [Buffer];
  expect(head.toString()).toMatch(/^HTTP\/1.1 200 /);
  const echoed = text(socket);
  socket.end("x".repeat(300_000));
  expect((await echoed).length).toBe(300_000);
  expect(decisions).toEqual([`+127.0.0.1:${port}`]);
});

test.each([
  "localhost:22",
  "evil.test:443",
  "xlisted.test:443",
  "listed.test:80",
  "listed.test:443:80",
  "listed.test",
  "[::1]:443",
  "0x7f.1:443",
])("refuses CONNECT to %s", async (authority) => {
  const { connect } = createBroker("http://x", ["listed.test:443"]);
  const socket = connect("proxy");
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nhost: x\r\n\r\n`);
  const answer = await text(socket);
  expect(answer).toMatch(/^HTTP\/1.1 (403|400) /);
});

test("lives on after headers and statuses that Node would not pass on", async () => {
  const port = await listen(
    createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", (data) => {
        const trailer = data.toString().includes("/trailer");
        socket.end(
          trailer
            ? "HTTP/1.1 200 OK\r\nTrailer: a\r\nContent-Length: 2\r\n\r\nok"
            : "HTTP/1.1 099 Nope\r\nContent-Length: 0\r\n\r\n",
        );
      });
    }),
  );
  const { send } = createBroker("http://x", [`127.0.0.1:${port}`]);
  const headers = { trailer: "foo", te: "trailers", connection: "keep-alive, x-named", "x-named": "1" };
  const path = `http://127.0.0.1:${port}`;
  expect(await send("proxy", { path: `${path}/trailer`, headers })).toEqual({ status: 200, body: "ok" });
  expect((await send("proxy", { path: `${path}/status` })).status).toBe(502);
});

test("ends a connection that sends many requests without waiting for answers, and what it had started", async () => {
  let open = 0;
  const started = Promise.withResolvers<undefined>();
  const gone = Promise.withResolvers<undefined>();
  const port = await listen(
    createTcpServer((socket) => {
      if ((open += 1) === 3) started.resolve(undefined);
      socket.on("error", () => {}).resume();
      socket.on("close", () => (open -= 1) === 0 && gone.resolve(undefined));
    }),
  );
  const { connect } = createBroker("http://x", [`127.0.0.1:${port}`]);
  const socket = connect("proxy");
  socket.on("error", () => {});
  const request = `GET http://127.0.0.1:${port}/hang HTTP/1.1\r\nhost: x\r\n\r\n`;
  socket.write(request.repeat(3));
  await started.promise;
  socket.write(request.repeat(200));
  await gone.promise;
});

test("passes on plain HTTP to a listed host only", async () => {
  const api = await fakeApi();
  const { send } = createBroker("http://x", [new URL(api.url).host]);
  expect(await send("proxy", { path: `${api.url}/a?b`, body: "hi" })).toEqual({ status: 200, body: "hi" });
  expect(api.requests[0]?.url).toBe("/a?b");
  expect((await send("proxy", { path: "http://127.0.0.1:1/x" })).status).toBe(403);
  expect((await send("proxy", { path: "/etc/passwd" })).status).toBe(403);
  expect((await send("proxy", { path: "https://127.0.0.1:1/x" })).status).toBe(403);
});

test("a refused credential that has been renewed is Claude's to try again; one that has not is told as it is", async () => {
  const keys: unknown[] = [];
  const port = await listen(
    createServer((incoming, response) => {
      const key = incoming.headers["x-api-key"];
      keys.push(key);
      incoming.resume();
      response.writeHead(key === "new" ? 200 : 401).end(`answer to ${String(key)}`);
    }),
  );
  let current: Credential = { kind: "api-key", value: "old" };
  let next: Credential = { kind: "api-key", value: "new" };
  const source = {
    read: () => Promise.resolve(current),
    renew: () => Promise.resolve((current = next)),
  };
  const { send } = createBroker(`http://127.0.0.1:${port}`, [], source);
  const message = { path: "/v1/messages", body: "{}" };
  expect(await send("model", message)).toMatchObject({
    status: 503,
    body: expect.stringContaining("another credential"),
  });
  expect(await send("model", message)).toEqual({ status: 200, body: "answer to new" });
  current = next = { kind: "api-key", value: "bad" };
  expect(await send("model", message)).toEqual({ status: 401, body: "answer to bad" });
  expect(keys).toEqual(["old", "new", "bad"]);
});

test("a credential that cannot be read is Claude's to try again", async () => {
  const source = { read: () => Promise.reject(new Error("no")), renew: () => Promise.reject(new Error("no")) };
  const { send } = createBroker("http://127.0.0.1:1", [], source);
  expect(await send("model", { path: "/v1/messages", body: "{}" })).toMatchObject({ status: 503 });
});
