import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { pino } from "pino";
import { expect, test } from "vitest";
import { callersWith } from "../../host/callers/callers.ts";
import { ControlServer } from "../../host/control/control-server.ts";
import { SessionService } from "../../proto/control.ts";
import { emptySession, type SessionEvent, SessionEventSchema, SessionFinishedSchema } from "../../proto/index.ts";
import { NO_UPLOADS } from "../support/no-snapshots.ts";
import { QUIET_HOST } from "../support/quiet-host.ts";
import { MemorySessions } from "./memory-sessions.ts";

const TOKEN = "a-token-of-the-tests";
const TEXT = "x".repeat(30_000);

/** Sessions of which every watcher gets the same arrays of events, as the store gives them. */
class SharedSessions extends MemorySessions {
  /** How often anybody has looked into the event that Claude said. */
  looks = 0;
  readonly #batches: SessionEvent[][] = [];

  constructor(batchCount: number) {
    super();
    for (let sequence = 1; sequence <= batchCount; sequence++) {
      const event = create(SessionEventSchema, { sequence, event: { case: "assistantText", value: {} as never } });
      Object.defineProperty(event.event.value, "text", { get: () => (this.looks++, TEXT), enumerable: true });
      this.#batches.push([event]);
    }
    const finished = { case: "sessionFinished" as const, value: create(SessionFinishedSchema) };
    this.#batches.push([create(SessionEventSchema, { sequence: batchCount + 1, event: finished })]);
  }

  override get(sessionId: string) {
    return Promise.resolve(emptySession(sessionId));
  }

  override async *watch(): AsyncGenerator<SessionEvent[], undefined> {
    for (const batch of this.#batches) yield await Promise.resolve(batch);
  }
}

async function startServer(sessions: MemorySessions) {
  await using stack = new AsyncDisposableStack();
  const logger = pino({ level: "silent" });
  const server = stack.use(new ControlServer({ sessions, uploads: NO_UPLOADS, host: QUIET_HOST, logger }));
  const directory = mkdtempSync(join(tmpdir(), "claudecluster-direct-"));
  stack.defer(() => rmSync(directory, { recursive: true }));
  const port = await server.listenTcp({ host: "127.0.0.1", port: 0, callers: callersWith(TOKEN) });
  const owned = stack.move();
  return { baseUrl: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function clients(baseUrl: string): Record<string, Client<typeof SessionService>> {
  const options = { baseUrl, httpVersion: "2" as const };
  return {
    grpc: createClient(SessionService, createGrpcTransport(options)),
    grpcWeb: createClient(SessionService, createGrpcWebTransport(options)),
    grpcWebOverHttp1: createClient(SessionService, createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })),
    connect: createClient(SessionService, createConnectTransport({ ...options, useBinaryFormat: true })),
    json: createClient(SessionService, createConnectTransport({ ...options, useBinaryFormat: false })),
  };
}

async function watch(client: Client<typeof SessionService>): Promise<SessionEvent[]> {
  const events: SessionEvent[] = [];
  const headers = { authorization: `Bearer ${TOKEN}` };
  let first = true;
  for await (const { response } of client.watchEvents({ sessionId: "ses_1" }, { headers })) {
    expect(response.case).toBe(first ? "session" : "events");
    first = false;
    if (response.case === "events") events.push(...response.value.events);
  }
  return events;
}

test("an event is encoded once for all who watch its session, in whatever protocol but JSON", async () => {
  const once = new SharedSessions(1);
  await using forOne = await startServer(once);
  await watch(clients(forOne.baseUrl)["grpc"]!);
  const many = new SharedSessions(1);
  await using forMany = await startServer(many);
  const { json: _json, ...binary } = clients(forMany.baseUrl);
  const seen = await Promise.all([...Object.values(binary), ...Object.values(binary)].map(watch));
  for (const events of seen)
    expect(events.map(({ event }) => event.case)).toEqual(["assistantText", "sessionFinished"]);
  expect(many.looks).toBe(once.looks);
});

test("a watcher gets all that is more than a connection takes at once, in order, in every protocol", async () => {
  const count = 400;
  await using server = await startServer(new SharedSessions(count));
  for (const [name, client] of Object.entries(clients(server.baseUrl))) {
    const events = await watch(client);
    expect(
      events.map(({ sequence }) => sequence),
      name,
    ).toEqual(Array.from({ length: count + 1 }, (_, index) => index + 1));
    expect(events[count - 1]!.event.value).toMatchObject({ text: TEXT });
  }
});
