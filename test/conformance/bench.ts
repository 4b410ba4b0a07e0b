import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  AgentService,
  type Artifact,
  Artifact_Kind,
  type ArtifactKind,
  type AttachRequestSchema,
  AttachStart_Role as Role,
  type Session,
  type SessionSpecSchema,
} from "../../proto/index.ts";
import { AgentClient } from "./agent-client.ts";
import type { RunningAgent } from "./agent-source.ts";
import { type Door, openDoor } from "./door.ts";
import { EventReader } from "./event-reader.ts";
import { type Serving, serveConnections } from "./serve-connections.ts";
import type { World } from "./world.ts";

type Spec = MessageInitShape<typeof SessionSpecSchema>;
type Request = NonNullable<MessageInitShape<typeof AttachRequestSchema>["request"]>;

/** Somebody who is attached: what came down, and a way to say something. */
export class Attached extends EventReader {
  readonly #say: (request: Request) => Promise<void>;
  readonly #leave: () => void;

  constructor(client: AgentClient, options: AttachOptions) {
    const { role = Role.OWNER, afterSequence = 0, acknowledge = false } = options;
    const call = client.exchange(AgentService.method.attach);
    const say = (request: Request) => call.send({ request });
    super(call, {
      onEvents: (events) => {
        if (acknowledge) void say({ case: "acknowledge", value: { sequence: events.at(-1)!.sequence } });
      },
    });
    this.#say = say;
    this.#leave = () => call.cancel();
    void say({ case: "attach", value: { role, afterSequence } });
  }

  send(request: Request): void {
    void this.#say(request);
  }

  /** Resolves when the agent has read what was said so far: an empty request is refused, in its turn. */
  async heard(): Promise<void> {
    const count = this.refusals.length;
    this.send({ case: undefined });
    await this.until("a refusal", () => this.refusals[count]);
  }

  leave(): void {
    this.#leave();
  }
}

export interface AttachOptions {
  readonly client?: AgentClient;
  /** Default: owner. */
  readonly role?: Role;
  readonly afterSequence?: number;
  /** Each event, as it comes. Default: none. */
  readonly acknowledge?: boolean;
}

/** What ReadArtifact sent. */
export interface ReadBytes {
  readonly artifact: Artifact;
  readonly bytes: Buffer;
  readonly chunkSizes: readonly number[];
}

/** What a check works with: one agent and connections to it. Disposing it closes them, not the agent. */
export class Bench implements AsyncDisposable {
  readonly world: World;
  /** The connection that is used where a check names none. */
  readonly client: AgentClient;
  readonly #token: string | undefined;
  readonly #door: Door;
  readonly #stack = new AsyncDisposableStack();

  private constructor(agent: RunningAgent, door: Door, world: World) {
    this.world = world;
    this.#token = agent.token;
    this.#door = this.#stack.use(door);
    this.client = this.connect();
  }

  static async open(agent: RunningAgent, world: World): Promise<Bench> {
    return new Bench(agent, await openDoor(() => agent.dial()), world);
  }

  /** Opens one more connection. */
  connect({ token = this.#token }: { token?: string | undefined } = {}): AgentClient {
    return this.#stack.use(new AgentClient(this.#door.target, { token }));
  }

  /** Breaks every connection, as a lost network does. Each is of no use from then on. */
  cut(): void {
    this.#door.cut();
  }

  /** Carries the agent's connections to the model and the proxy. */
  serve(client = this.client): Serving {
    return this.#stack.use(serveConnections(client, this.world.ports));
  }

  /** Starts a session with a new id. Without `serve` Claude waits with its first request. */
  async start(task: string, spec: Spec = {}, more: { gitPrefixes?: string[] } = {}): Promise<Session> {
    const sessionId = `ses_${randomUUID()}`;
    const { session } = await this.client.call(AgentService.method.startSession, {
      sessionId,
      spec: { task, ...spec },
      ...more,
    });
    return session!;
  }

  attach(options: AttachOptions = {}): Attached {
    const attached = new Attached(options.client ?? this.client, options);
    this.#stack.defer(() => attached.leave());
    return attached;
  }

  /** Reads WatchEvents. */
  watch(afterSequence = 0): EventReader {
    const call = this.client.stream(AgentService.method.watchEvents, { afterSequence });
    this.#stack.defer(() => call.cancel());
    return new EventReader(call);
  }

  async getSession(): Promise<Session> {
    return (await this.client.call(AgentService.method.getSession)).session!;
  }

  /** Reads an artifact, from an offset on. Throws where the whole is not what the first message says. */
  async readArtifact(kind: ArtifactKind, offset = 0): Promise<ReadBytes> {
    return await readWhole(this.client.stream(AgentService.method.readArtifact, { kind, offset: BigInt(offset) }));
  }

  /** Reads the patch, also of an agent from before ReadArtifact. */
  async readPatch(): Promise<Buffer> {
    const { capabilities } = await this.client.call(AgentService.method.getAgentInfo);
    if (capabilities.includes("artifacts")) return (await this.readArtifact(Artifact_Kind.PATCH)).bytes;
    const chunks: Uint8Array[] = [];
    for await (const { data } of this.client.stream(AgentService.method.readChanges)) chunks.push(data);
    return Buffer.concat(chunks);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

interface Chunk {
  readonly data: Uint8Array;
  readonly artifact?: Artifact | undefined;
}

async function readWhole(messages: AsyncIterable<Chunk>): Promise<ReadBytes> {
  const chunks: Uint8Array[] = [];
  let artifact: Artifact | undefined;
  for await (const message of messages) {
    artifact ??= message.artifact;
    chunks.push(message.data);
  }
  assert.ok(artifact !== undefined, "artifact in the first message");
  return { artifact, bytes: Buffer.concat(chunks), chunkSizes: chunks.map(({ length }) => length) };
}

/** Fails where bytes are not those of an artifact. */
export function requireBytes({ sizeBytes, sha256 }: Artifact, bytes: Buffer): void {
  assert.equal(BigInt(bytes.length), sizeBytes, "size_bytes");
  assert.deepEqual(Buffer.from(sha256), createHash("sha256").update(bytes).digest(), "sha256");
}
