import { createHash, randomUUID } from "node:crypto";
import {
  AppError,
  type Artifact,
  ArtifactCheck,
  type ArtifactKind,
  type ReadOptions,
  requireArtifactKind,
  sameArtifact,
  type Session,
  type SessionEvent,
} from "../../proto/index.ts";
import type {
  Answers,
  CreateSessionRequest,
  Decision,
  ListSessionsPage,
  ListSessionsRequest,
  OpenArtifact,
  Sessions,
  SessionsNews,
  WatchSessionsRequest,
} from "../session/sessions.ts";
import { rest } from "../sleep.ts";
import { type ArtifactCall, openArtifactCall } from "./artifact-call.ts";
import type { ControlClient } from "./control-client.ts";
import { hostError } from "./control-error.ts";
import { dialRequests } from "./dial.ts";
import { callUpload, type Upload } from "./upload-snapshot.ts";

/** Client of a host, and how to get one. */
export interface RemoteSessionsOptions {
  client: ControlClient;
  /**
   * Makes sure that a host listens. It is called before the first call, and after a connection was lost; what it
   * throws, the call throws.
   */
  connect?: () => Promise<void>;
  /** Returns an error that says more than the host could. */
  explain?: (error: AppError) => AppError;
}

/** Between attempts after a lost connection, in ms. The sum is how long a host may take to come back. */
const RETRY_DELAYS_MS = [0, 50, 100, 200, 500, 1000, 2000, 2000, 2000, 2000];

/**
 * Sessions of a host in another process. A lost connection is made again, even to the next host: every call is made so
 * that twice does no harm, and a watcher resumes after the last event that it has seen.
 */
export class RemoteSessions implements Sessions {
  readonly #client: ControlClient["sessions"];
  readonly #connect: () => Promise<void>;
  readonly #explain: (error: AppError) => AppError;
  #connected = false;

  constructor({ client, connect = () => Promise.resolve(), explain = (error) => error }: RemoteSessionsOptions) {
    this.#client = client.sessions;
    this.#explain = explain;
    this.#connect = connect;
  }

  async create({ spec, container, parent, requestId }: CreateSessionRequest): Promise<Session> {
    const request = { spec, container, parent: parent ?? "", requestId: requestId ?? randomUUID() };
    const { session } = await this.#call(() => this.#client.createSession(request));
    return given(session);
  }

  /** Uploads a snapshot and returns the upload's id. Begun anew after a lost connection. Throws what the pack and the host throw. */
  async upload(upload: Upload): Promise<string> {
    return await this.#call(() => callUpload(this.#client, upload), upload.signal);
  }

  async get(sessionId: string): Promise<Session> {
    const { session } = await this.#call(() => this.#client.getSession({ sessionId }));
    return given(session);
  }

  async list({ states = [], parent, pageSize, pageToken }: ListSessionsRequest): Promise<ListSessionsPage> {
    const size = pageSize === undefined ? {} : { pageSize };
    const request = { states: [...states], parent: parent ?? "", pageToken: pageToken ?? "", ...size };
    return this.#call(() => this.#client.listSessions(request));
  }

  async *watch(sessionId: string, options: ReadOptions): AsyncGenerator<SessionEvent[], undefined> {
    let { afterSequence } = options;
    const open = (signal: AbortSignal) => this.#client.watchEvents({ sessionId, afterSequence }, { signal });
    for await (const { response } of this.#stream(open, options.signal)) {
      if (response.case !== "events") continue;
      const { events } = response.value;
      afterSequence = events.at(-1)?.sequence ?? afterSequence;
      yield events;
    }
  }

  async *watchAll(given: WatchSessionsRequest): AsyncGenerator<SessionsNews, undefined> {
    const { ids = [], states = [], parent = "" } = given;
    let { cursor = "" } = given;
    const filter = { sessionIds: [...ids], states: [...states], parent };
    const open = (signal: AbortSignal) => this.#client.watchSessions({ ...filter, cursor }, { signal });
    let greeted = false;
    for await (const { response } of this.#stream(open, given.signal)) {
      if (response.case === undefined || response.case === "heartbeat") continue;
      if (response.case === "updates") cursor = response.value.cursor;
      // That it went on after a lost connection is no news.
      else if (greeted && response.value.resumed) continue;
      greeted = true;
      yield response;
    }
  }

  /** Reads a stream to its end, opened anew after a lost connection. Ends silently on an abort. */
  async *#stream<T>(
    open: (signal: AbortSignal) => AsyncIterable<T>,
    signal: AbortSignal,
  ): AsyncGenerator<T, undefined> {
    for (let attempt = 0; !signal.aborted;) {
      // Leaving the loop below does not end the call.
      const over = new AbortController();
      try {
        await this.#ready();
        for await (const message of open(AbortSignal.any([signal, over.signal]))) {
          attempt = 0;
          if (signal.aborted) return;
          yield message;
        }
        return;
      } catch (error) {
        if (signal.aborted) return;
        await this.#recover(error, attempt++, signal);
      } finally {
        over.abort();
      }
    }
  }

  async stop(sessionId: string, { reason }: { reason: string }): Promise<void> {
    await this.#call(() => this.#client.stopSession({ sessionId, reason }));
  }

  async interrupt(sessionId: string): Promise<void> {
    await this.#call(() => this.#client.interruptSession({ sessionId }));
  }

  async sendMessage(sessionId: string, { text, messageId }: { text: string; messageId?: string }): Promise<void> {
    const message = { text, messageId: messageId || randomUUID() };
    await this.#call(() => this.#client.sendMessage({ sessionId, message }));
  }

  async decide(sessionId: string, decision: Decision): Promise<void> {
    await this.#once(
      () => this.#client.decidePermission({ sessionId, decision }),
      ({ reason }) => reason === "DECISION_MADE",
    );
  }

  async answer(sessionId: string, { answers, ...rest }: Answers): Promise<void> {
    const answer = { ...rest, answers: answers.map((values) => ({ values: [...values] })) };
    await this.#once(
      () => this.#client.answerQuestion({ sessionId, answer }),
      ({ reason }) => reason === "DECISION_MADE",
    );
  }

  async markTaken(sessionId: string, taken: Parameters<Sessions["markTaken"]>[1]): Promise<void> {
    await this.#call(() => this.#client.markTaken({ sessionId, ...(taken && { taken }) }));
  }

  async delete(sessionId: string, { discard } = { discard: false }): Promise<void> {
    await this.#once(
      () => this.#client.deleteSession({ sessionId, discard }),
      ({ kind }) => kind === "NOT_FOUND",
    );
  }

  async openArtifact(sessionId: string, kind: ArtifactKind): Promise<OpenArtifact> {
    const open = (offset: number) => openArtifactCall(this.#client, { sessionId, kind, offset });
    const first = await this.#call(() => open(0));
    const { artifact } = first;
    return {
      artifact,
      read: ({ offset = 0 } = {}) => this.#readArtifact(artifact, { offset, first, open }),
      [Symbol.dispose]: () => first[Symbol.dispose](),
    };
  }

  /** Reads on after a lost connection where the artifact is still the same. */
  async *#readArtifact(
    artifact: Artifact,
    { offset, first, open }: { offset: number; first: ArtifactCall; open: (offset: number) => Promise<ArtifactCall> },
  ): AsyncGenerator<Uint8Array, undefined> {
    const kind = requireArtifactKind(artifact.kind);
    const check = new ArtifactCheck(kind, { announced: artifact, hash: createHash("sha256") });
    let call = offset === 0 ? first : undefined;
    for (let at = offset, attempt = 0; ;) {
      try {
        if (call === undefined) {
          await this.#ready();
          call = await open(at);
        }
        if (!sameArtifact(call.artifact, artifact)) throw changed();
        for await (const data of call.data) {
          attempt = 0;
          at += data.length;
          // What is read from the middle has no hash that is known.
          if (offset === 0) check.add(data);
          yield data;
        }
        if (offset === 0) check.finish();
        return;
      } catch (error) {
        await this.#recover(error, attempt++);
      } finally {
        call?.[Symbol.dispose]();
        call = undefined;
      }
    }
  }

  async *dial(
    sessionId: string,
    bytes: AsyncIterable<Uint8Array>,
    { signal }: { signal: AbortSignal },
  ): AsyncGenerator<Uint8Array, undefined> {
    // Finds the next host where the last one is gone: what has been dialled cannot be dialled again.
    await this.get(sessionId);
    // Leaving the loop below does not end the call.
    const over = new AbortController();
    const options = { signal: AbortSignal.any([signal, over.signal]) };
    try {
      for await (const { data } of this.#client.dial(dialRequests(sessionId, bytes), options)) yield data;
    } catch (error) {
      signal.throwIfAborted();
      throw this.#explain(hostError(error));
    } finally {
      over.abort();
    }
  }

  /** A call that is refused the second time. The refusal is an answer where the first one may have been lost with the connection. */
  async #once(call: () => Promise<unknown>, isRefusal: (error: AppError) => boolean): Promise<void> {
    let called = false;
    await this.#call(async () => {
      const again = called;
      called = true;
      try {
        await call();
      } catch (error) {
        if (!again || !isRefusal(hostError(error))) throw error;
      }
    });
  }

  async #call<T>(call: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#ready();
        return await call();
      } catch (error) {
        signal?.throwIfAborted();
        await this.#recover(error, attempt, signal);
      }
    }
  }

  async #ready(): Promise<void> {
    if (this.#connected) return;
    await this.#connect();
    this.#connected = true;
  }

  /** Returns when it is worth another attempt; throws what is to be told otherwise. */
  async #recover(error: unknown, attempt: number, signal?: AbortSignal): Promise<void> {
    const known = hostError(error);
    const lost = known.reason === "CONNECTION_LOST" || known.reason === "HOST_CLOSING";
    const delayMs = RETRY_DELAYS_MS[attempt];
    if (!lost || delayMs === undefined) throw this.#explain(known);
    this.#connected = false;
    await rest(delayMs, signal);
  }
}

function given(session: Session | undefined): Session {
  if (session !== undefined) return session;
  throw new AppError("HOST_INVALID", "The host has answered without a session.");
}

function changed(): AppError {
  return new AppError("ARTIFACT_CHANGED", "The patch has changed while it was read.", {
    retryable: true,
    help: "Read it again.",
  });
}
