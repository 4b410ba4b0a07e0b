import { duplexPair } from "node:stream";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, expect, test } from "vitest";
import { SafeHttp2SessionManager } from "../../host/rpc/safe-session-manager.ts";
import { AgentService, AppError, ErrorInfoSchema } from "../../proto/index.ts";
import { TIMEOUTS } from "../timeouts.ts";
import { type CallContext, grpcService, type Handlers } from "./grpc-service.ts";
import { RpcServer } from "./rpc-server.ts";

const cleanups: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean();
});

/** Serves the given handlers of AgentService, and only those, to a client over memory. */
function serve(handlers: Partial<Handlers<typeof AgentService>>) {
  const unexpected: unknown[] = [];
  const onUnexpectedError = (error: unknown) => void unexpected.push(error);
  const service = grpcService(AgentService, handlers as Handlers<typeof AgentService>, { onUnexpectedError });
  const server = new RpcServer({ services: [service], timeouts: { ...TIMEOUTS, drainMs: 50 } });
  const [near, far] = duplexPair();
  server.serve(far);
  near.once("end", () => near.destroy());
  const sessionManager = new SafeHttp2SessionManager("http://agent", {}, { createConnection: () => near });
  cleanups.push(() => server.close());
  cleanups.push(() => sessionManager.abort());
  const transport = createGrpcTransport({ baseUrl: "http://agent", sessionManager, acceptCompression: [] });
  return { client: createClient(AgentService, transport), unexpected };
}

async function errorOf(call: Promise<unknown>): Promise<ConnectError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof ConnectError) return error;
  throw new Error("The call did not fail.");
}

test("answers a unary call", async () => {
  const { client } = serve({ getAgentInfo: async () => ({ agentVersion: "1.2.3" }) });
  expect((await client.getAgentInfo({})).agentVersion).toBe("1.2.3");
});

test("answers when a caller has said everything", async () => {
  const { client } = serve({
    async restoreSession(requests) {
      let bytes = 0;
      for await (const { patch } of requests) bytes += patch.length;
      expect(bytes).toBe(3 * 1024 * 1024);
      return {};
    },
  });
  async function* parts() {
    for (let part = 0; part < 12; part++) yield { patch: new Uint8Array(256 * 1024) };
  }
  expect(await client.restoreSession(parts())).toMatchObject({});
});

test("tells our errors with their reason, whatever the kind of call", async () => {
  const fail = () => {
    throw new AppError("SESSION_OVER", 'There is no "lück" \ud800.', {
      kind: "FAILED_PRECONDITION",
      metadata: { what: "lück" },
      retryable: true,
      help: "Try again.",
    });
  };
  const { client, unexpected } = serve({
    getAgentInfo: async () => fail(),

    async *watchEvents() {
      fail();
    },
    async *attach(requests) {
      for await (const _ of requests) fail();
    },
    async restoreSession(requests) {
      for await (const _ of requests) fail();
      return {};
    },
  });
  const drain = async (stream: AsyncIterable<unknown>) => {
    for await (const _ of stream);
  };
  const calls = [
    client.getAgentInfo({}),
    drain(client.watchEvents({})),
    drain(client.attach(endless({ request: { case: "interrupt", value: {} } }))),
    client.restoreSession(endless({})),
  ];
  for (const call of calls) {
    const error = await errorOf(call);
    expect(error).toMatchObject({ code: Code.FailedPrecondition, rawMessage: 'There is no "lück" \ufffd.' });
    const info = { reason: "SESSION_OVER", metadata: { what: "lück" }, retryable: true, help: "Try again." };
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ domain: "agent.claudecluster.dev", ...info }]);
  }
  expect(unexpected).toEqual([]);
});

test("hides unexpected errors from callers and reports each once", async () => {
  const secret = new Error("the database password is x");
  const { client, unexpected } = serve({ getAgentInfo: () => Promise.reject(secret) });
  const error = await errorOf(client.getAgentInfo({}));
  expect(error.code).toBe(Code.Internal);
  expect(error.message).not.toContain("password");
  expect(unexpected).toEqual([secret]);
});

test("asks the handler for the next message only when the one before has left", async () => {
  let produced = 0;
  const { client } = serve({
    async *readChanges() {
      for (; produced < 1000; produced++) yield { data: new Uint8Array(64 * 1024) };
    },
  });
  const abort = new AbortController();
  const stream = client.readChanges({}, { signal: abort.signal })[Symbol.asyncIterator]();
  await stream.next();
  await quiet(() => produced);
  // What HTTP/2 windows and streams hold, and not the 64 MB that there are.
  expect(produced).toBeLessThan(100);
  abort.abort();
  await stream.next().catch(() => {});
});

test("tells a waiting handler that its caller has gone, and runs its finally", async () => {
  const finished = Promise.withResolvers<unknown>();
  const { client, unexpected } = serve({
    async *watchEvents(_request, { signal }: CallContext) {
      try {
        yield {};
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      } finally {
        finished.resolve(signal.reason);
      }
    },
  });
  const abort = new AbortController();
  const stream = client.watchEvents({}, { signal: abort.signal })[Symbol.asyncIterator]();
  await stream.next();
  abort.abort();
  await stream.next().catch(() => {});
  expect(await finished.promise).toMatchObject({ reason: "CALL_CANCELED" });
  expect(unexpected).toEqual([]);
});

test("ends a bidi call although its caller still talks", async () => {
  const { client } = serve({
    async *attach(requests) {
      for await (const _ of requests) {
        yield { response: { case: "heartbeat", value: {} } };
        return;
      }
    },
  });
  let count = 0;
  for await (const _ of client.attach(endless({ request: { case: "interrupt", value: {} } }))) count += 1;
  expect(count).toBe(1);
});

test("says what it does not implement", async () => {
  const { client } = serve({ getAgentInfo: async () => ({}) });
  expect((await errorOf(client.getSession({}))).code).toBe(Code.Internal);
});

/** A caller that never stops talking, slowly. */
async function* endless<T>(value: T): AsyncGenerator<T> {
  yield value;
  await new Promise((resolve) => setTimeout(resolve, 60_000).unref());
}

/** Resolves when a number has stopped growing. */
async function quiet(read: () => number): Promise<void> {
  let before = -1;
  const still = () => {
    const now = read();
    const same = now === before;
    before = now;
    return same;
  };
  await expect.poll(still, { interval: 100 }).toBe(true);
}
