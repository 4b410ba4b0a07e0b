import { createServer } from "node:http2";
import type { Duplex } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { create, type MessageInitShape, toJsonString } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { expect, test, vi } from "vitest";
import { readPatch } from "../../host/present/read-session.ts";
import { plainText } from "../../host/present/plain-text.ts";
import { summarizeSession } from "../../host/present/session-summary.ts";
import type { CreateFakeAgent } from "../../host/runtime/fake/fake-agent.ts";
import {
  AgentService,
  type Artifact,
  Artifact_Kind,
  AssistantTextSchema,
  ContainerSpecSchema,
  EgressDecidedSchema,
  ModelAnsweredSchema,
  type EventBody,
  FileChange_Kind,
  FileChangeSchema,
  isFinal,
  type ReadArtifactResponseSchema,
  SessionEventSchema,
  SessionFinishedSchema,
  SessionResultSchema,
  SessionSchema,
  SessionSpecSchema,
  Session_State,
  SessionStartedSchema,
  StateChangedSchema,
  SuccessSchema,
} from "../../proto/index.ts";
import { artifactOf } from "../agent/artifacts.ts";
import { EmittingAgent } from "../load/emitting-agent.ts";
import { startLoadHost } from "../load/load-host.ts";
import { eachEvent } from "../support/each-event.ts";

/** The largest lies are hundreds of megabytes, on a machine that may have other things to do. */
const SESSION_MS = 90_000;
vi.setConfig({ testTimeout: SESSION_MS });

const { PATCH } = Artifact_Kind;

/** What a lying agent says, and how. What it leaves out it does as it should. */
interface Lies {
  /** Batches of [sequence, event], sent one after the other. */
  batches?: () => Iterable<[number, EventBody][]>;
  occurTimeMs?: number;
  result?: object;
  /** Called instead of an answer to GetSession. */
  onGetSession?: () => never;
  patch?: () => AsyncIterable<MessageInitShape<typeof ReadArtifactResponseSchema>>;
  announcements?: () => AsyncIterable<{ connectionId: string }>;
  /** Takes the connection over before there is any gRPC on it. */
  serve?: (stream: Duplex) => void;
}

const text = (value: string): EventBody => ({
  case: "assistantText",
  value: create(AssistantTextSchema, { text: value }),
});
const end: EventBody = {
  case: "sessionFinished",
  value: create(SessionFinishedSchema, { state: Session_State.SUCCEEDED }),
};

function lyingAgent({
  batches,
  occurTimeMs = 1,
  result = {},
  onGetSession,
  patch,
  announcements,
  serve,
}: Lies): CreateFakeAgent {
  return () => {
    const { promise: exited, resolve } = Promise.withResolvers<{ exitCode: number }>();
    const session = () =>
      create(SessionSchema, {
        id: "ses_of_somebody_else",
        lastSequence: 2 ** 31 - 1,
        result: create(SessionResultSchema, { outcome: { case: "success", value: create(SuccessSchema) }, ...result }),
      });
    const handler = connectNodeAdapter({
      routes: (router) =>
        router.service(AgentService, {
          getAgentInfo: () => ({ agentVersion: "\u001b[2J", instanceId: "x" }),
          startSession: () => ({ session: session() }),
          getSession: () => onGetSession?.() ?? { session: session() },
          async *attach(_requests, { signal }) {
            yield { response: { case: "hello" as const, value: { session: session(), instanceId: "x" } } };
            for (const batch of batches?.() ?? [[[1, end]] as [number, EventBody][]]) {
              const occurTime = timestampFromMs(occurTimeMs);
              const events = batch.map(([sequence, event]) =>
                create(SessionEventSchema, { sequence, occurTime, event }),
              );
              yield { response: { case: "events" as const, value: { events } } };
              await turn();
            }
            await aborted(signal);
          },
          readArtifact: patch ?? (() => sent(artifactOf(PATCH, Buffer.alloc(0)))),
          acceptConnections:
            announcements ??
            async function* (_request, { signal }) {
              yield { connectionId: "" };
              await aborted(signal);
            },
        }),
    });
    // Resets of calls that it refuses are its own doing.
    const server = createServer({ streamResetBurst: 10_000, streamResetRate: 10_000 }, handler);
    return {
      exited,
      kill: () => resolve({ exitCode: 137 }),
      serve(stream) {
        stream.on("error", () => {});
        stream.once("end", () => stream.destroy());
        if (serve !== undefined) serve(stream);
        else server.emit("connection", stream);
      },
    };
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** Runs one session with a lying agent beside one with an honest agent, and returns the former as it ended. */
async function runBesideHonest(
  lies: Lies,
  { stop = false, maxLiveBytes, uri }: { stop?: boolean; maxLiveBytes?: number; uri?: string } = {},
) {
  let count = 0;
  const lying = lyingAgent(lies);
  const honest = new EmittingAgent({ eventsPerSecond: 200, eventCount: 100 });
  const { promise: exited } = Promise.withResolvers<{ exitCode: number }>();
  await using host = await startLoadHost(
    () => (shape, id) => {
      if (count++ === 0) return lying(shape, id);
      return { exited, serve: (stream) => honest.serve(stream), kill: () => honest.kill() };
    },
    { maxLiveBytes },
  );
  const { sessions } = host;
  const start = async (repository?: { uri: string }) => {
    const { id } = await sessions.create({
      spec: create(SessionSpecSchema, { task: "x", ...(repository && { repository }) }),
      container: create(ContainerSpecSchema),
    });
    return id;
  };
  const liar = await start(uri === undefined ? undefined : { uri });
  const neighbour = await start();
  const signal = AbortSignal.timeout(SESSION_MS - 5_000);
  const watch = async (id: string) => {
    const events = [];
    for await (const event of eachEvent(sessions.watch(id, { afterSequence: 0, signal }))) events.push(event);
    return events;
  };
  const ended = watch(liar);
  const beside = await watch(neighbour);
  expect(beside.at(-1)?.event.case).toBe("sessionFinished");
  expect((await sessions.get(neighbour)).state).toBe(Session_State.SUCCEEDED);
  if (stop) await sessions.stop(liar, { reason: "enough" });
  const events = await ended;
  expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index + 1));
  const session = await sessions.get(liar);
  expect(isFinal(session.state)).toBe(true);
  expect(session.id).toBe(liar);
  return { events, session, patch: await readPatch(sessions, liar) };
}

test("an agent cannot say what is the host's to say, nor end its session twice", async () => {
  const forged: EventBody[] = [
    {
      case: "sessionStarted",
      value: create(SessionStartedSchema, { sessionId: "forged", parent: "forged", caller: "forged" }),
    },
    { case: "egressDecided", value: create(EgressDecidedSchema, { destination: "forged", allowed: true }) },
    { case: "modelAnswered", value: create(ModelAnsweredSchema, { model: "forged" }) },
    { case: "stateChanged", value: create(StateChangedSchema, { state: Session_State.SUCCEEDED }) },
  ];
  const batches = () => [
    forged.map((event, index): [number, EventBody] => [index + 1, event]),
    [
      [5, end] as [number, EventBody],
      [6, end] as [number, EventBody],
      [7, text("after the end")] as [number, EventBody],
    ],
  ];
  const { events, session } = await runBesideHonest({ batches });
  expect(toJsonString(SessionSchema, session)).not.toContain("forged");
  const kinds = events.map(({ event }) => event.case);
  for (const kind of ["egressDecided", "modelAnswered"]) expect(kinds).not.toContain(kind);
  expect(events.filter(({ event }) => event.case === "sessionFinished")).toHaveLength(1);
  expect(session.state).toBe(Session_State.SUCCEEDED);
});

test("an agent whose git would go by the proxy gets no repository", async () => {
  const { session } = await runBesideHonest({}, { uri: "https://git.test/a" });
  expect(session.result?.outcome).toMatchObject({ case: "failure", value: { reason: "AGENT_OUTDATED" } });
});

test("an agent whose result cannot be read is not asked for it without end", async () => {
  let count = 0;
  const onGetSession = () => {
    count++;
    throw new ConnectError("as if the connection had broken", Code.Internal);
  };
  const { session } = await runBesideHonest({ onGetSession });
  expect(session.result?.outcome).toMatchObject({ case: "failure", value: { reason: "AGENT_INVALID" } });
  expect(count).toBe(10);
});

test.each([
  ["the same number again and again", [1, 1, 1, 1]],
  ["numbers that go down", [4, 3, 2, 1]],
  ["numbers that are none", [-1, 0, -(2 ** 31), 2 ** 31 - 1]],
])("an agent that sends %s gets a log without gaps, and none of them twice", async (_, numbers) => {
  const batch = numbers.map((number): [number, EventBody] => [number, text(`event ${number}`)]);
  const { events } = await runBesideHonest({ batches: () => [batch, batch, [[2 ** 31 - 1, end]]] });
  const texts = events.flatMap(({ event }) => (event.case === "assistantText" ? [event.value.text] : []));
  expect(texts).toEqual([...new Set(texts)]);
  expect(events.at(-1)?.event.case).toBe("sessionFinished");
});

test.each([8.64e15, 9e15, -9e15])("times out of all bounds (%d) are no harm to anybody", async (occurTimeMs) => {
  const { events } = await runBesideHonest({ occurTimeMs, batches: () => [[[1, text("x")]], [[2, end]]] });
  expect(events.map((event) => toJsonString(SessionEventSchema, event)).join()).toContain('"text":"x"');
  expect(events.at(-1)?.event.case).toBe("sessionFinished");
});

test("a flood of events costs the store no more than a session may have, and the log says what it lacks", async () => {
  const big = "x".repeat(256 * 1024);
  const batches = function* (): Generator<[number, EventBody][]> {
    for (let number = 1; number <= 320; number += 2) yield [0, 1].map((each) => [number + each, text(big)]);
    yield [[321, end]];
  };
  const { events, session } = await runBesideHonest({ batches }, { maxLiveBytes: 64 * 1024 * 1024 });
  expect(session.state).toBe(Session_State.SUCCEEDED);
  const stored = events.filter(({ event }) => event.case === "assistantText").length;
  expect(stored).toBeGreaterThan(160);
  expect(stored).toBeLessThan(260);
  expect(events.at(-2)?.event).toMatchObject({ case: "outputTruncated", value: { source: "log" } });
});

test("a message above every bound is the end of its session", async () => {
  const huge = text("x".repeat(1024 * 1024));
  const { session } = await runBesideHonest({ batches: () => [[[1, huge]]] });
  expect(session.state).toBe(Session_State.FAILED);
});

test("a batch of more events than any agent has is the end of its session", async () => {
  const many = Array.from({ length: 2000 }, (_, index): [number, EventBody] => [index + 1, text("")]);
  const { session } = await runBesideHonest({ batches: () => [many, [[2001, end]]] });
  expect(session.result?.outcome).toMatchObject({ case: "failure", value: { reason: "AGENT_INVALID" } });
});

/** A new file of `lines` lines. */
function addition(path: string, lines: number): Buffer {
  const head = `diff --git a/${path} b/${path}\nnew file mode 100644\nindex 0..1\n--- /dev/null\n+++ b/${path}\n`;
  return Buffer.from(`${head}@@ -0,0 +1,${lines} @@\n${"+a line\n".repeat(lines)}`);
}

function listing(path: string) {
  return { changes: [create(FileChangeSchema, { path, kind: FileChange_Kind.ADDED })], changeCount: 1 };
}

test("a patch in pieces as large as the contract lets them be is taken whole", async () => {
  const bytes = addition("made", 65_000);
  const pieceBytes = 256 * 1024;
  const patch = async function* () {
    yield { artifact: artifactOf(PATCH, bytes), data: bytes.subarray(0, pieceBytes) };
    yield { data: await Promise.resolve(bytes.subarray(pieceBytes)) };
  };
  const { session, patch: taken } = await runBesideHonest({ patch, result: listing("made") });
  expect(session.state).toBe(Session_State.SUCCEEDED);
  expect(Buffer.from(taken)).toEqual(bytes);
});

test.each([
  ["names another file than the list", addition(".git/hooks/post-checkout", 1)],
  ["touches a file more than the list", Buffer.concat([addition("made", 1), addition("more", 1)])],
  ["is empty although the list is not", Buffer.alloc(0)],
  [
    "has a second file hidden behind the lines of the first",
    Buffer.from(`${addition("made", 1)}--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+y\n`),
  ],
])("a patch that %s is kept for looking, and its session has failed", async (_, bytes) => {
  const patch = () => sent(artifactOf(PATCH, bytes), bytes);
  const { session, patch: taken } = await runBesideHonest({ patch, result: listing("made") });
  expect(session.result?.outcome).toMatchObject({ case: "failure", value: { reason: "PATCH_MISMATCH" } });
  expect(Buffer.from(taken)).toEqual(bytes);
});

/** Sends what it likes after what it announces. */
async function* sent(artifact: Artifact | undefined, ...pieces: Uint8Array[]) {
  yield { artifact };
  for (const data of pieces) yield { data: await Promise.resolve(data) };
}

const KIB = Buffer.alloc(1024);

test.each<[string, () => AsyncIterable<MessageInitShape<typeof ReadArtifactResponseSchema>>, string]>([
  ["says nothing of what it sends", () => sent(undefined, KIB), "AGENT_INVALID"],
  ["sends other bytes", () => sent(artifactOf(PATCH, KIB), Buffer.alloc(1024, 1)), "AGENT_INVALID"],
  ["sends fewer bytes", () => sent(artifactOf(PATCH, KIB), KIB.subarray(1)), "AGENT_INVALID"],
  ["sends more bytes", () => sent(artifactOf(PATCH, KIB), KIB, KIB), "AGENT_INVALID"],
  ["sends another kind", () => sent(artifactOf(Artifact_Kind.TRANSCRIPT, KIB), KIB), "AGENT_INVALID"],
  ["announces less than nothing", () => sent({ ...artifactOf(PATCH, KIB), sizeBytes: -1n }, KIB), "AGENT_INVALID"],
  [
    "announces more than fits anywhere",
    () => sent({ ...artifactOf(PATCH, KIB), sizeBytes: 2n ** 62n }, KIB),
    "PATCH_TOO_LARGE",
  ],
])("an agent that %s has no patch, and its session says so", async (_, patch, reason) => {
  const { session } = await runBesideHonest({ patch });
  expect(session.result?.outcome).toMatchObject({ case: "failure", value: { reason } });
});

test("a patch without an end is cut off, and the session says so", async () => {
  const data = new Uint8Array(64 * 1024);
  const patch = async function* () {
    yield { artifact: { ...artifactOf(PATCH, data), sizeBytes: 100n * 1024n * 1024n } };
    for (;;) yield { data: await Promise.resolve(data) };
  };
  const { session } = await runBesideHonest({ patch });
  expect(session.result?.outcome).toMatchObject({ case: "failure", value: { reason: "AGENT_INVALID" } });
});

test("a patch is never more than bytes to the host: one that would fill a disk, lead elsewhere or fool a terminal is kept as it is", async () => {
  const written = Buffer.from(
    [
      "diff --git a/\u001b]0;owned\u0007 b/../../etc/passwd",
      "new file mode 120000",
      "GIT binary patch",
      "literal 1099511627776",
      "zcmZQz0000000000",
      "",
      "diff --git a/.git/hooks/post-checkout b/.git/hooks/post-checkout",
      "\u202e+++ /dev/tty",
    ].join("\n"),
  );
  const given = () => sent(artifactOf(PATCH, written), written);
  const { session, patch } = await runBesideHonest({ patch: given });
  expect(session.result?.outcome).toMatchObject({ case: "failure", value: { reason: "PATCH_MISMATCH" } });
  expect(Buffer.from(patch)).toEqual(written);
  const summary = summarizeSession(session, { sizeBytes: patch.length, bytes: patch });
  expect(summary.patch).toBeUndefined();
  expect(summary.patch_size_bytes).toBe(written.length);
  expect(plainText(written.toString())).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f\u202e]/);
});

test("announcements of connections that are not there end nothing but themselves", async () => {
  const announcements = async function* () {
    yield { connectionId: "" };
    for (let number = 0; number < 2_000; number++) yield { connectionId: await Promise.resolve(`none ${number}`) };
    await new Promise(() => {});
  };
  const { session } = await runBesideHonest({ announcements });
  expect(isFinal(session.state)).toBe(true);
});

test("a result of control characters and a million files is shown short and plain", async () => {
  const changes = Array.from({ length: 20_000 }, (_, index) =>
    create(FileChangeSchema, { path: `\u001b]0;owned\u0007${"../".repeat(20)}file ${index}`, addedLineCount: -1 }),
  );
  const { session, patch } = await runBesideHonest({
    result: { finalText: "\u001b[2J\u202e".repeat(50_000), changes, changeCount: -7 },
  });
  const summary = JSON.stringify(summarizeSession(session, { sizeBytes: patch.length, bytes: patch }));
  expect(summary.length).toBeLessThan(200_000);
  expect(summary).not.toMatch(/\\u001b|\\u0007|\u202e/);
});

test("an agent that speaks no HTTP/2 is no agent", async () => {
  const garbage = (stream: Duplex) => {
    stream.resume();
    stream.write(Buffer.alloc(64 * 1024, 0xff));
  };
  const { session } = await runBesideHonest({ serve: garbage }, { stop: true });
  expect(session.state).toBe(Session_State.CANCELED);
});
