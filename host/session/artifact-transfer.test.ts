import { createServer } from "node:http2";
import { type Duplex, duplexPair } from "node:stream";
import { buffer } from "node:stream/consumers";
import { create } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { expect, test } from "vitest";
import { ENDED_SESSION } from "../../test/support/ended-session.ts";
import {
  AgentService,
  Artifact_Kind,
  artifactMessages,
  PIECE_BYTES,
  pieces,
  SessionSpecSchema,
  wrongOffset,
} from "../../proto/index.ts";
import { artifactOf } from "../../test/agent/artifacts.ts";
import { toConnectError } from "../control/control-error.ts";
import type { Container } from "../runtime/runtime.ts";
import { NEW } from "../../test/support/stored-sessions.ts";
import type { LeftStore } from "../store/session-store.ts";
import { SqliteStore } from "../store/sqlite-store.ts";
import { AgentLink } from "./agent-link.ts";
import type { PreviousSession } from "./continuation.ts";
import { memoryArtifact } from "../../test/support/memory-artifact.ts";
import { SessionLog } from "./session-log.ts";

const { PATCH } = Artifact_Kind;
const BYTES = Buffer.from(Array.from({ length: 5 * PIECE_BYTES + 3 }, (_, at) => at % 253));
/** The connection is cut after so many. */
const CUT_BYTES = 2 * PIECE_BYTES;

/** An agent whose connection is cut once, in the middle of an artifact. What it has sent and taken is counted. */
class CutAgent {
  bytes = BYTES;
  readonly sentFrom: bigint[] = [];
  takenBytes = 0;
  readonly #beforeCut: () => Promise<unknown>;
  readonly #streams: Duplex[] = [];
  #server = createServer(
    connectNodeAdapter({
      routes: (router) =>
        router.service(AgentService, {
          ...ENDED_SESSION,
          writeArtifact: (requests) => this.#take(requests),
          readArtifact: ({ kind, offset }) => this.#send(kind, offset),
        }),
    }),
  );

  /** The artifact that it sends is cut off once `beforeCut` has resolved. */
  constructor({ beforeCut = () => Promise.resolve() }: { beforeCut?: () => Promise<unknown> } = {}) {
    this.#beforeCut = beforeCut;
  }

  get container(): Container {
    return {
      ref: { version: 1, runtime: "test", id: "c0ffee" },
      exited: new Promise(() => {}),
      dial: () => Promise.resolve(this.#dial()),
      [Symbol.asyncDispose]: async () => {},
    };
  }

  #dial(): Duplex {
    const [ours, theirs] = duplexPair();
    theirs.on("error", () => {});
    theirs.once("end", () => theirs.destroy());
    this.#server.emit("connection", theirs);
    this.#streams.push(theirs);
    return ours;
  }

  /** The first connection only. */
  #cut(): void {
    if (this.#streams.length === 1) this.#streams[0]!.destroy();
  }

  async *#send(kind: Artifact_Kind, offset: bigint) {
    const bytes = kind === PATCH ? this.bytes : Buffer.alloc(0);
    if (kind === PATCH) this.sentFrom.push(offset);
    let sentBytes = Number(offset);
    const artifact = artifactOf(kind as Artifact_Kind.PATCH, bytes);
    for await (const message of artifactMessages(artifact, offset, (from) => pieces(bytes, from))) {
      if (sentBytes === CUT_BYTES && this.#streams.length === 1) {
        await this.#beforeCut();
        this.#cut();
      }
      sentBytes += message.data.length;
      yield message;
    }
  }

  async #take(requests: AsyncIterable<{ start?: { offset: bigint } | undefined; data: Uint8Array }>) {
    for await (const { start, data } of requests) {
      if (start !== undefined && start.offset > BigInt(this.takenBytes)) {
        const facts = { offset: start.offset, receivedBytes: this.takenBytes };
        throw toConnectError(wrongOffset(PATCH, facts));
      }
      this.takenBytes += data.length;
      if (this.takenBytes >= CUT_BYTES) this.#cut();
    }
    return {};
  }
}

/** The host's end of a session, and a promise for the first bytes of its patch. */
function startHost(store: SqliteStore) {
  const arrived = Promise.withResolvers<undefined>();
  const counting: Pick<LeftStore, "createArtifact"> = {
    async createArtifact(...given) {
      const incoming = await store.left.createArtifact(...given);
      const append = incoming.append.bind(incoming);
      incoming.append = async (data) => {
        await append(data);
        if (incoming.sizeBytes >= CUT_BYTES) arrived.resolve(undefined);
      };
      return incoming;
    },
  };
  store.createSession("ses_1", NEW);
  const run = (agent: CutAgent, restore?: () => PreviousSession) =>
    new AgentLink({
      container: agent.container,
      spec: create(SessionSpecSchema, { task: "x", ...(restore && { previousSessionId: "ses_0" }) }),
      log: new SessionLog(store, "ses_1"),
      left: counting,
      broker: { accept: () => {} },
      gitPrefixes: [],
      restore,
    }).run(AbortSignal.timeout(20_000));
  return { run, arrived: arrived.promise };
}

test("an artifact whose connection is lost crosses once: the next one brings the rest", async () => {
  using store = SqliteStore.open(":memory:");
  const { run, arrived } = startHost(store);
  const agent = new CutAgent({ beforeCut: () => arrived });
  const { patch } = await run(agent);
  expect((await buffer(patch.read())).equals(BYTES)).toBe(true);
  expect(agent.sentFrom).toEqual([0n, BigInt(CUT_BYTES)]);
});

test("an agent that has another artifact after a lost connection is not believed", async () => {
  using store = SqliteStore.open(":memory:");
  const { run, arrived } = startHost(store);
  const beforeCut = async () => {
    await arrived;
    agent.bytes = Buffer.alloc(BYTES.length);
  };
  const agent = new CutAgent({ beforeCut });
  await expect(run(agent)).rejects.toMatchObject({ reason: "AGENT_INVALID" });
});

test("what a session continues is sent once, too: the agent says how far it came", async () => {
  using store = SqliteStore.open(":memory:");
  const agent = new CutAgent();
  const previous = { conversationId: "", artifacts: [memoryArtifact(PATCH, BYTES)] };
  await startHost(store).run(agent, () => previous);
  expect(agent.takenBytes).toBe(BYTES.length);
});
