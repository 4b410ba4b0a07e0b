import { create } from "@bufbuild/protobuf";
import {
  AcknowledgeSchema,
  AudienceSchema,
  afterRunning,
  AppError,
  Artifact_Kind,
  AttachRequestSchema,
  AttachStartSchema,
  type AttachRequest,
  AttachStart_Role,
  ConnectionLostSchema,
  ConnectionMadeSchema,
  ConnectionRestoredSchema,
  type ReadableArtifact,
  type SessionResult,
  type SessionSpec,
  type Session_State,
} from "../../proto/index.ts";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type AgentClient, AgentConnection } from "../agent-client/agent-connection.ts";
import { agentError, agentOutdated } from "../agent-client/agent-error.ts";
import { AsyncQueue } from "../rpc/async-queue.ts";
import { type ConnectionSink, serveConnections } from "../agent-client/serve-connections.ts";
import { Tunnels } from "../agent-client/tunnels.ts";
import type { Container } from "../runtime/runtime.ts";
import { sleep } from "../sleep.ts";
import type { LeftStore } from "../store/session-store.ts";
import type { PreviousSession } from "./continuation.ts";
import { ArtifactFetch, fetchOptional } from "./fetch-artifact.ts";
import { isNoRoom } from "./no-room.ts";
import type { SessionLog } from "./session-log.ts";
import { sendArtifact } from "./send-artifact.ts";
import { TIMEOUTS } from "./timeouts.ts";
import { withUserFiles } from "./user-files.ts";

/** Result and artifacts that an agent handed over at the end of its session. */
export interface AgentResult {
  result: SessionResult;
  patch: ReadableArtifact;
  /** Transcript of Claude Code, for a session that continues this one. Undefined: there is none. */
  transcript: ReadableArtifact | undefined;
  /** Commits that Claude made. Undefined: there are none. */
  commits: ReadableArtifact | undefined;
}

/** The agent keeps its events until they are acknowledged: at most 64 KiB each, so it may be in lots of this many. */
const ACKNOWLEDGE_EVENTS = 32;
/** No agent sends nearly as many at once. */
const MAX_BATCH_EVENTS = 1000;
/** Connections may break, but not each time when the result is on its way. */
const MAX_RESULT_ATTEMPTS = 10;

/** Container of a session, and where its events, artifacts and connections go. */
export interface AgentLinkOptions {
  container: Container;
  /** Connection to its agent that was made before, which is the link's. Default: it is dialled. */
  connection?: AgentConnection | undefined;
  spec: SessionSpec;
  log: SessionLog;
  /** Store of its artifacts. */
  left: Pick<LeftStore, "createArtifact">;
  broker: ConnectionSink;
  /** Beginnings of the URLs that git reaches by its own listener and by no other way. */
  gitPrefixes: readonly string[];
  /** Returns the state that the session goes on from. Undefined: it goes on from none. */
  restore?: (() => PreviousSession | undefined) | undefined;
  /** Returns the user's own files, as the store keeps them. Undefined: there are none. */
  userFiles?: (() => Uint8Array | undefined) | undefined;
  /** Whether another host has followed the session before, whose log goes on. Default: false. */
  resumed?: boolean;
  /** Called with each state that the agent tells. */
  onState?: (state: Session_State) => void;
  /** Called each time that something finds no room in the store, and with nothing once it does. */
  onRoom?: (room: { missing: AppError | undefined; finished: boolean }) => void;
}

/**
 * Link of the host to the agent that runs a session. It starts the session there, stores its events, serves its
 * connections, and fetches what it left.
 *
 * A lost connection is dialled again and resumed after the last stored event, and connections out of the container go
 * on where they were. Before the session's end only the container's exit or the caller's signal ends the link.
 */
export class AgentLink {
  readonly #options: AgentLinkOptions;
  /** What is to be said to the agent at its first connection. What must not get lost is in the log's kept requests. */
  readonly #unsaid: AttachRequest[] = [];
  /** Said on every connection: where there is no room the log has not kept it, and twice does no harm. */
  #stop: AttachRequest | undefined;
  #audience = toRequest({ case: "audience", value: create(AudienceSchema, { present: false }) });
  #requests: AsyncQueue<AttachRequest> | undefined;
  readonly #begunToSend = new Set<Artifact_Kind>();
  /** Not used yet. */
  #connection: AgentConnection | undefined;
  #finished = false;
  #result: SessionResult | undefined;
  readonly #patch: ArtifactFetch;
  readonly #transcript: ArtifactFetch;
  readonly #commits: ArtifactFetch;
  #resultAttempts = 0;
  #lostSinceMs: number | undefined;
  /** Another host has followed it before, perhaps an older one with an older agent. */
  readonly #resumed: boolean;
  /** The session is known to be the agent's. */
  #started = false;
  /** The agent has been reached, by us or by the host before us. */
  #contacted: boolean;

  constructor(options: AgentLinkOptions) {
    this.#options = options;
    const { left, log } = options;
    this.#connection = options.connection;
    this.#patch = new ArtifactFetch({ left, sessionId: log.sessionId, kind: Artifact_Kind.PATCH });
    this.#transcript = new ArtifactFetch({ left, sessionId: log.sessionId, kind: Artifact_Kind.TRANSCRIPT });
    this.#commits = new ArtifactFetch({ left, sessionId: log.sessionId, kind: Artifact_Kind.COMMITS });
    this.#resumed = options.resumed === true;
    this.#contacted = this.#resumed;
  }

  /** Whether the agent has answered. It may have begun with the session then. */
  get reached(): boolean {
    return this.#contacted;
  }

  /**
   * Says something to the agent, at once or when it is reached. What the log keeps is said again on every new
   * connection until it has arrived.
   */
  say(request: AttachRequest["request"]): void {
    const message = toRequest(request);
    if (request.case === "stop") this.#stop = message;
    if (this.#requests !== undefined) this.#requests.push(message);
    else if (!isKept(request)) this.#unsaid.push(message);
  }

  /** Tells the agent, now and on every connection, whether anybody could decide. Until it is called, nobody could. */
  setAudience(present: boolean): void {
    this.#audience = toRequest({ case: "audience", value: create(AudienceSchema, { present }) });
    this.#requests?.push(this.#audience);
  }

  /** Runs to the session's end. Rejects with the signal's reason, AGENT_UNREACHABLE or AGENT_OUTDATED. */
  async run(signal: AbortSignal): Promise<AgentResult> {
    using tunnels = new Tunnels();
    await using _patch = this.#patch;
    await using _transcript = this.#transcript;
    await using _commits = this.#commits;
    if (this.#resumed) this.#connectionLost("The host was restarted.");
    let late = false;
    // A host that waits for a processor, or was suspended, must not blame the agent.
    const forget = afterRunning(TIMEOUTS.firstContactMs, () => (late = true));
    using _patience = { [Symbol.dispose]: forget };
    let delayMs: number = TIMEOUTS.redialFirstMs;
    for (;;) {
      const stored = this.#options.log.lastAgentSequence;
      try {
        return await this.#runConnection(tunnels, signal);
      } catch (error) {
        signal.throwIfAborted();
        const known = agentError(error);
        // Somebody who looks inside may take a seat of ours; we take it back.
        const lost =
          known.kind === "UNAVAILABLE" || known.reason === "OWNER_REPLACED" || known.reason === "CALLER_REPLACED";
        // The agent keeps what there is no room for here.
        const noRoom = isNoRoom(known);
        if (!lost && !noRoom) throw known;
        if (!this.#contacted && late) {
          throw known.reason === "CONNECTION_LOST" ? unanswered(this.#options.container, known) : known;
        }
        if (noRoom) this.#options.onRoom?.({ missing: known, finished: this.#finished });
        if (!noRoom) this.#connectionLost(known.cause instanceof Error ? known.cause.message : known.message);
        if (this.#options.log.lastAgentSequence > stored) delayMs = TIMEOUTS.redialFirstMs;
      }
      await sleep(delayMs, signal);
      delayMs = Math.min(delayMs * 2, TIMEOUTS.redialLastMs);
    }
  }

  async #runConnection(tunnels: Tunnels, signal: AbortSignal): Promise<AgentResult> {
    const { container, spec, log, broker, gitPrefixes } = this.#options;
    const made = this.#connection;
    this.#connection = undefined;
    using connection = made ?? new AgentConnection(await container.dial({ signal }));
    const { client } = connection;
    // Ends every call of this connection, however we leave.
    const calls = new AbortController();
    const callSignal = AbortSignal.any([signal, calls.signal]);
    try {
      if (!this.#started) {
        if (!this.#resumed) await this.#requireCapabilities(client, callSignal);
        // An agent that has the session already has what it continues.
        const previous = this.#resumed ? undefined : this.#options.restore?.();
        for (const stored of previous?.artifacts ?? []) await this.#send(client, stored, callSignal);
        const previousConversationId = previous?.conversationId ?? "";
        const whole = this.#resumed ? spec : withUserFiles(spec, this.#options.userFiles?.());
        const start = { sessionId: log.sessionId, spec: whole, gitPrefixes: [...gitPrefixes], previousConversationId };
        const { usesGitListener, usesSnapshot } = await client.startSession(start, { signal: callSignal });
        // Where git goes by the proxy, nothing that it sends is looked at. A session that an older host has begun so goes on:
        // its clone is done, and no credential goes that way.
        if (gitPrefixes.length > 0 && !usesGitListener && !this.#resumed) throw agentOutdated();
        // It would begin with another index, and with commits of ours in its history.
        if (spec.repository?.snapshot !== undefined && !usesSnapshot) throw agentOutdated();
      }
      this.#started = true;
      this.#connectionMade();
      const serving = serveConnections(client, broker, { signal: callSignal, tunnels }).then(() => {
        throw new AppError("CONNECTION_LOST", "The agent stopped announcing connections.");
      });
      // Its failure matters only while we wait for it below.
      serving.catch(() => {});
      if (!this.#finished) await Promise.race([this.#follow(client, callSignal), serving]);
      return await this.#fetch(client, callSignal);
    } finally {
      calls.abort();
      this.#requests = undefined;
    }
  }

  /** Throws AGENT_OUTDATED where an older agent would pass over a part of the spec without a word. */
  async #requireCapabilities(client: AgentClient, signal: AbortSignal): Promise<void> {
    const { setup, check, afterSessionId, userFiles } = this.#options.spec;
    const needed = {
      setup: setup?.command,
      check: check?.command,
      after: afterSessionId,
      "user-files": userFiles?.fileCount,
    };
    const names = Object.entries(needed).flatMap(([name, use]) => (use ? [name] : []));
    if (names.length === 0) return;
    const { capabilities } = await client.getAgentInfo({}, { signal });
    if (!names.every((name) => capabilities.includes(name))) throw agentOutdated();
  }

  async #send(client: AgentClient, stored: ReadableArtifact, signal: AbortSignal): Promise<void> {
    const { kind } = stored.artifact;
    const again = this.#begunToSend.has(kind);
    this.#begunToSend.add(kind);
    await sendArtifact(client, stored, { sessionId: this.#options.log.sessionId, again, signal });
  }

  /** Stores the session's events until its last one. */
  async #follow(client: AgentClient, signal: AbortSignal): Promise<void> {
    const { log, onRoom, onState } = this.#options;
    const requests = new AsyncQueue<AttachRequest>();
    const attach = { role: AttachStart_Role.OWNER, sessionId: log.sessionId, afterSequence: log.lastAgentSequence };
    requests.push(toRequest({ case: "attach", value: create(AttachStartSchema, attach) }));
    // The agent knows each of them by its id, or it does no harm twice.
    for (const message of log.keptRequests()) requests.push(message);
    if (this.#stop !== undefined) requests.push(this.#stop);
    requests.push(this.#audience);
    for (const message of this.#unsaid.splice(0)) requests.push(message);
    this.#requests = requests;
    let acknowledged = log.lastAgentSequence;
    try {
      for await (const { response } of client.attach(requests, { signal })) {
        if (response.case === "hello") continue;
        if (response.case !== "events") {
          // It would send first what could not be stored.
          onRoom?.({ missing: undefined, finished: false });
          continue;
        }
        if (response.value.events.length > MAX_BATCH_EVENTS) throw batchTooLong();
        const finished = log.appendFromAgent(response.value.events);
        for (const { event } of response.value.events) {
          if (event.case === "stateChanged") onState?.(event.value.state);
        }
        onRoom?.({ missing: undefined, finished: false });
        if (finished !== undefined) {
          this.#finished = true;
          return;
        }
        const sequence = log.lastAgentSequence;
        if (sequence < acknowledged + ACKNOWLEDGE_EVENTS) continue;
        acknowledged = sequence;
        requests.push(toRequest({ case: "acknowledge", value: create(AcknowledgeSchema, { sequence }) }));
      }
      throw new AppError("CONNECTION_LOST", "The agent ended the stream early.");
    } finally {
      requests.end();
    }
  }

  /** Fetches what the session left, whole. */
  async #fetch(client: AgentClient, signal: AbortSignal): Promise<AgentResult> {
    // One after the other: none is under way when the next connection asks for it.
    const result = await this.#fetchResult(client, signal);
    const patch = await this.#patch.run(client, signal);
    const commits = result.commitsSizeBytes > 0n ? await fetchOptional(this.#commits, client, signal) : undefined;
    return { result, patch, transcript: await fetchOptional(this.#transcript, client, signal), commits };
  }

  /** Asks once where that succeeds: an answer may be made to take long to read. */
  async #fetchResult(client: AgentClient, signal: AbortSignal): Promise<SessionResult> {
    if (this.#result !== undefined) return this.#result;
    if (++this.#resultAttempts > MAX_RESULT_ATTEMPTS) {
      throw new AppError("AGENT_INVALID", `The session's result could not be read in ${MAX_RESULT_ATTEMPTS} attempts.`);
    }
    const { session } = await client.getSession({ sessionId: this.#options.log.sessionId }, { signal });
    if (session?.result === undefined) {
      throw new AppError("AGENT_INVALID", "The agent says that the session is over but has no result.");
    }
    this.#result = session.result;
    return session.result;
  }

  #connectionMade(): void {
    if (!this.#contacted) this.#options.log.append({ case: "connectionMade", value: create(ConnectionMadeSchema) });
    this.#contacted = true;
    if (this.#lostSinceMs === undefined) return;
    const elapsed = durationFromMs(Date.now() - this.#lostSinceMs);
    this.#options.log.append({ case: "connectionRestored", value: create(ConnectionRestoredSchema, { elapsed }) });
    this.#lostSinceMs = undefined;
  }

  #connectionLost(reason: string): void {
    if (!this.#contacted || this.#lostSinceMs !== undefined) return;
    try {
      this.#options.log.append({ case: "connectionLost", value: create(ConnectionLostSchema, { reason }) });
      this.#lostSinceMs = Date.now();
    } catch (error) {
      // Then nobody is told of either its loss or its return.
      if (!isNoRoom(error)) throw error;
    }
  }
}

/** What a caller was promised. An interrupt is for the moment only. */
const KEPT: ReadonlySet<string> = new Set(["userMessage", "stop", "permissionDecision", "answer"]);

function isKept(request: AttachRequest["request"]): boolean {
  return request.case !== undefined && KEPT.has(request.case);
}

/** Something listens in the container, which is not to be taken for an agent. */
function unanswered({ ref: { id } }: Container, cause: AppError): AppError {
  const seconds = TIMEOUTS.firstContactMs / 1000;
  return new AppError(
    "AGENT_UNREACHABLE",
    `The agent in container ${id.slice(0, 12)} was dialled, but gave no answer within ${seconds} s.`,
    {
      metadata: { container: id },
      retryable: true,
      help: "Try again if the machine is busy; otherwise build the image anew: claudecluster image",
      cause,
    },
  );
}

function batchTooLong(): AppError {
  return new AppError("AGENT_INVALID", "The agent sent more events at once than any agent may.", {
    help: "Use an image with an agent that keeps to the contract.",
  });
}

function toRequest(request: AttachRequest["request"]): AttachRequest {
  return create(AttachRequestSchema, { request });
}
