import { createHash } from "node:crypto";
import { createServer } from "node:http2";
import type { Duplex } from "node:stream";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  AgentService,
  Artifact_Kind,
  artifactMessages,
  ArtifactSchema,
  AssistantTextSchema,
  type AttachRequest,
  type AttachResponseSchema,
  CancellationSchema,
  ChangesUpdatedSchema,
  type EventBody,
  eventFeed,
  EventLog,
  type FileChange,
  FileChange_Kind,
  FileChangeSchema,
  FilePatchedSchema,
  PermissionRequestedSchema,
  pieces,
  type ReadArtifactRequest,
  SessionFinishedSchema,
  SessionResultSchema,
  SessionSchema,
  Session_State,
  StateChangedSchema,
  SuccessSchema,
  ToolUseFinishedSchema,
  ToolUseStartedSchema,
  TurnFinishedSchema,
  TurnStartedSchema,
  UsageSchema,
  UsageUpdatedSchema,
} from "../../proto/index.ts";

const HEARTBEAT_MS = 5000;
/** What an event of Claude weighs, roughly (bytes). */
const TEXT_BYTES = 300;
/** Every so many events there is a file's diff of this size, the list of what has changed, and what has been used. */
const PATCH_EVERY = 20;
const PATCH_BYTES = 8 * 1024;
const CHANGED_FILES = 50;

export interface EmittingAgentOptions {
  /** 0: it says nothing until it is stopped. */
  eventsPerSecond: number;
  /** It finishes by itself after as many. */
  eventCount: number;
  /** It asks for a permission then, and waits for it, in place of finishing. */
  waits?: boolean;
  /** Told of all that its owner asks for. */
  onRequest?: (request: AttachRequest) => void;
}

/** How a session ends. */
export interface EmittedEnd {
  /** Why it was canceled. Undefined: it succeeded. */
  canceled?: string | undefined;
  /** Default: none. */
  patch?: Uint8Array | undefined;
  /** Every file of the patch. Default: none. */
  changes?: FileChange[];
}

/**
 * The agent's service without a Claude, as far as a host needs it: once its session has started it emits events at a steady
 * rate, each with the time at which it was emitted.
 */
export class EmittingAgent {
  readonly #options: EmittingAgentOptions;
  readonly #log = new EventLog();
  readonly #server;
  #sessionId = "";
  readonly #started = Promise.withResolvers<undefined>();
  #timer: NodeJS.Timeout | undefined;
  #emitted = 0;
  #startMs = 0;
  #end: EmittedEnd = {};

  constructor(options: EmittingAgentOptions) {
    this.#options = options;
    const handler = connectNodeAdapter({
      routes: (router) =>
        router.service(AgentService, {
          getAgentInfo: () => ({ agentVersion: "load", instanceId: "load", sessionId: this.#sessionId }),
          startSession: ({ sessionId }) => {
            if (this.#sessionId === "") this.#start(sessionId);
            return { session: this.#session() };
          },
          attach: (requests, { signal }) => this.#attach(requests, signal),
          getSession: () => ({ session: this.#session() }),
          readArtifact: (request) => this.#readArtifact(request),
          async *acceptConnections(_request, { signal }) {
            yield { connectionId: "" };
            await aborted(signal);
          },
        }),
    });
    this.#server = createServer({ settings: { initialWindowSize: 1024 * 1024 } }, handler);
  }

  /** Number of the newest event. */
  get lastSequence(): number {
    return this.#log.lastSequence;
  }

  /** Its session is over. */
  get ended(): boolean {
    return this.#log.ended;
  }

  /** Serves a connection that the host has opened. */
  serve(stream: Duplex): void {
    stream.on("error", () => {});
    // See the real agent's RpcServer: HTTP/2 knows no half-closed connection.
    stream.once("end", () => stream.destroy());
    this.#server.emit("connection", stream);
  }

  /** Resolves once it has its session. */
  get started(): Promise<unknown> {
    return this.#started.promise;
  }

  /** Of the session that it has taken; empty before. */
  get sessionId(): string {
    return this.#sessionId;
  }

  /** Emits one more event. */
  emit(event: EventBody): void {
    this.#log.append(event);
  }

  /** Ends the session. */
  finish(end: EmittedEnd = {}): void {
    clearTimeout(this.#timer);
    if (this.#log.ended) return;
    this.#end = end;
    const state = end.canceled === undefined ? Session_State.SUCCEEDED : Session_State.CANCELED;
    this.emit({ case: "turnFinished", value: create(TurnFinishedSchema, { turn: 1, text: "done" }) });
    this.emit({ case: "sessionFinished", value: create(SessionFinishedSchema, { state, result: this.#result() }) });
  }

  /** Emits nothing more. */
  kill(): void {
    clearTimeout(this.#timer);
  }

  #start(sessionId: string): void {
    this.#sessionId = sessionId;
    this.emit({ case: "stateChanged", value: create(StateChangedSchema, { state: Session_State.RUNNING }) });
    this.emit({ case: "turnStarted", value: create(TurnStartedSchema, { turn: 1 }) });
    // Each at its own beat: real agents know nothing of each other.
    this.#startMs = performance.now() - Math.random() * 1000;
    if (this.#options.eventsPerSecond > 0) this.#emitDue();
    this.#started.resolve(undefined);
  }

  /** Emits one event, or as many as a busy machine has kept it from. */
  #emitDue(): void {
    const { eventsPerSecond, eventCount, waits = false } = this.#options;
    const due = Math.floor(((performance.now() - this.#startMs) / 1000) * eventsPerSecond);
    for (; this.#emitted < Math.min(due, eventCount); this.#emitted++) {
      if (this.#emitted % PATCH_EVERY === PATCH_EVERY - 1) changes(this.#emitted).forEach((event) => this.emit(event));
      this.emit(said(this.#emitted));
    }
    if (this.#emitted >= eventCount) return waits ? this.#wait() : this.finish();
    // By the clock and not by the event before, or agents that were held up together would stay together.
    const nextMs = this.#startMs + ((due + 1) / eventsPerSecond) * 1000;
    this.#timer = setTimeout(() => this.#emitDue(), Math.max(1, nextMs - performance.now()));
  }

  #wait(): void {
    const value = create(PermissionRequestedSchema, { requestId: "1", toolName: "Bash", inputJson: "{}" });
    this.emit({ case: "permissionRequested", value });
    this.emit({ case: "stateChanged", value: create(StateChangedSchema, { state: Session_State.WAITING }) });
  }

  async *#attach(
    requests: AsyncIterable<AttachRequest>,
    signal: AbortSignal,
  ): AsyncGenerator<MessageInitShape<typeof AttachResponseSchema>> {
    const iterator = requests[Symbol.asyncIterator]();
    const first = (await iterator.next()).value as AttachRequest | undefined;
    const afterSequence = first?.request.case === "attach" ? first.request.value.afterSequence : 0;
    yield { response: { case: "hello", value: { session: this.#session(), instanceId: "load" } } };
    void this.#obey({ [Symbol.asyncIterator]: () => iterator }).catch(() => {}); // ends with the call
    const feed = eventFeed(this.#log.read({ afterSequence, signal }), { heartbeatMs: HEARTBEAT_MS });
    for await (const response of feed) yield { response };
  }

  async #obey(requests: AsyncIterable<AttachRequest>): Promise<void> {
    for await (const message of requests) {
      this.#options.onRequest?.(message);
      const { request } = message;
      if (request.case === "acknowledge") this.#log.acknowledge(request.value.sequence);
      if (request.case === "stop") this.finish({ canceled: request.value.reason });
    }
  }

  async *#readArtifact({ kind, offset }: ReadArtifactRequest) {
    const { patch = new Uint8Array() } = kind === Artifact_Kind.PATCH ? this.#end : {};
    const sha256 = createHash("sha256").update(patch).digest();
    const artifact = create(ArtifactSchema, { kind, sizeBytes: BigInt(patch.length), sha256 });
    yield* artifactMessages(artifact, offset, (from) => pieces(patch, from));
  }

  #session() {
    return create(SessionSchema, {
      id: this.#sessionId,
      lastSequence: this.#log.lastSequence,
      result: this.#result(),
    });
  }

  #result() {
    const { canceled: reason, changes = [] } = this.#end;
    return create(SessionResultSchema, {
      changes,
      changeCount: changes.length,
      outcome:
        reason === undefined
          ? { case: "success", value: create(SuccessSchema) }
          : { case: "cancellation", value: create(CancellationSchema, { reason }) },
    });
  }
}

/** The time of an event's emission, in ns of the machine's clock since its start; undefined if it has none. */
export function emissionTime(event: EventBody | { case: undefined }): bigint | undefined {
  const text = timedText(event);
  return text === undefined ? undefined : BigInt(text.split(" ", 1)[0]!);
}

function timedText(event: EventBody | { case: undefined }): string | undefined {
  switch (event.case) {
    case "assistantText":
      return event.value.text;
    case "toolUseStarted":
      return event.value.inputJson;
    case "toolUseFinished":
      return event.value.output;
    default:
      return undefined;
  }
}

/** Says something, uses a tool, and has its answer, by turns. */
function said(number: number): EventBody {
  const text = `${process.hrtime.bigint()} `.padEnd(TEXT_BYTES, "x");
  const toolUseId = `toolu_${number}`;
  switch (number % 3) {
    case 0:
      return { case: "assistantText", value: create(AssistantTextSchema, { text }) };
    case 1:
      return {
        case: "toolUseStarted",
        value: create(ToolUseStartedSchema, { toolUseId, name: "Edit", inputJson: text }),
      };
    default:
      return { case: "toolUseFinished", value: create(ToolUseFinishedSchema, { toolUseId, output: text }) };
  }
}

/** What follows on the change of a file. */
function changes(number: number): EventBody[] {
  const changed = (index: number) =>
    create(FileChangeSchema, { path: `src/file-${index}.ts`, kind: FileChange_Kind.MODIFIED });
  const change = changed(number % CHANGED_FILES);
  const patch = Buffer.alloc(PATCH_BYTES, `line ${number}\n`);
  const files = Array.from({ length: Math.min(CHANGED_FILES, 1 + Math.floor(number / PATCH_EVERY)) }, (_, index) =>
    changed(index),
  );
  const usage = create(UsageSchema, { outputTokenCount: BigInt(number) });
  return [
    { case: "filePatched", value: create(FilePatchedSchema, { change, patch, partIndex: 0, partCount: 1 }) },
    {
      case: "changesUpdated",
      value: create(ChangesUpdatedSchema, { changes: files, changeCount: files.length }),
    },
    { case: "usageUpdated", value: create(UsageUpdatedSchema, { usage }) },
  ];
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
