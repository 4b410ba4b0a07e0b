import { create } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  type Answer,
  AnswerSchema,
  AppError,
  checkSequence,
  Artifact_Kind,
  artifactMessages,
  ContainerSpecSchema,
  encodedBatch,
  eventFeed,
  type FeedItem,
  PermissionDecisionSchema,
  requireArtifactKind,
  type Session,
  SessionSpecSchema,
} from "../../proto/index.ts";
import type { SessionService } from "../../proto/control.ts";
import type { Sessions } from "../session/sessions.ts";
import { attach } from "./attach.ts";
import { cutSession } from "./cut-session.ts";

const MAX_REQUEST_ID_BYTES = 128;

export interface SessionServiceOptions {
  sessions: Sessions;
  /** After this long without anything else a stream carries a heartbeat, in ms. */
  heartbeatMs: number;
  /** Aborted, with the error that callers get, when the host ends. */
  closing: AbortSignal;
}

/** Returns SessionService over the sessions. */
export function sessionService(options: SessionServiceOptions): ServiceImpl<typeof SessionService> {
  const { sessions } = options;
  return {
    async createSession({ spec, container, parent, requestId }) {
      if (Buffer.byteLength(requestId) > MAX_REQUEST_ID_BYTES) {
        throw new AppError("REQUEST_ID_TOO_LONG", `The request id has more than ${MAX_REQUEST_ID_BYTES} bytes.`);
      }
      const session = await sessions.create({
        spec: spec ?? create(SessionSpecSchema),
        container: container ?? create(ContainerSpecSchema),
        ...(parent !== "" && { parent }),
        ...(requestId !== "" && { requestId }),
      });
      return { session };
    },
    async getSession({ sessionId }) {
      return { session: await sessions.get(sessionId) };
    },
    async listSessions({ states, parent, pageSize, pageToken }) {
      const page = await sessions.list({
        states,
        ...(pageSize !== undefined && { pageSize }),
        ...(parent !== "" && { parent }),
        ...(pageToken !== "" && { pageToken }),
      });
      return { ...page, sessions: page.sessions.map(cutSession) };
    },
    attach: (requests, context) => attach(options, requests, context),
    async *watchEvents({ sessionId, afterSequence }, context) {
      for await (const response of streamEvents(options, { sessionId, afterSequence }, { context })) yield { response };
    },
    async sendMessage({ sessionId, message }) {
      await sessions.sendMessage(sessionId, { text: message?.text ?? "", messageId: message?.messageId ?? "" });
      return {};
    },
    async decidePermission({ sessionId, decision }) {
      await sessions.decide(sessionId, decision ?? create(PermissionDecisionSchema));
      return {};
    },
    async answerQuestion({ sessionId, answer }) {
      await sessions.answer(sessionId, toAnswer(answer ?? create(AnswerSchema)));
      return {};
    },
    async interruptSession({ sessionId }) {
      await sessions.interrupt(sessionId);
      return {};
    },
    async stopSession({ sessionId, reason }) {
      await sessions.stop(sessionId, { reason });
      return {};
    },
    async deleteSession({ sessionId }) {
      await sessions.delete(sessionId);
      return {};
    },
    async *readArtifact({ sessionId, kind, offset }) {
      using opened = await sessions.openArtifact(sessionId, requireArtifactKind(kind));
      yield* artifactMessages(opened.artifact, offset, (offset) => opened.read({ offset }));
    },
    async *readChanges({ sessionId }) {
      using opened = await sessions.openArtifact(sessionId, Artifact_Kind.PATCH);
      yield { totalSizeBytes: opened.artifact.sizeBytes };
      for await (const data of opened.read()) yield { data };
    },
  };
}

/** An answer as the session layer takes it. */
export function toAnswer({ requestId, answers }: Answer): { requestId: string; answers: string[][] } {
  return { requestId, answers: answers.map(({ values }) => values) };
}

/**
 * Streams a session as it is now, what follows, and what else is to be told. Throws NOT_FOUND, OUT_OF_RANGE, and with what the
 * host ends.
 */
export async function* streamEvents<Other = never>(
  { sessions, heartbeatMs, closing }: SessionServiceOptions,
  { sessionId, afterSequence }: { sessionId: string; afterSequence: number },
  { context, others }: { context: HandlerContext; others?: AsyncGenerator<Other> },
): AsyncGenerator<{ case: "session"; value: Session } | FeedItem | Other> {
  const session = await sessions.get(sessionId);
  checkSequence(afterSequence, session.lastSequence);
  yield { case: "session", value: cutSession(session) };
  const signal = AbortSignal.any([context.signal, closing]);
  // Of several readers each would have every event encoded again.
  const pack = isJson(context) ? undefined : encodedBatch;
  yield* eventFeed(sessions.watch(sessionId, { afterSequence, signal }), { heartbeatMs, others, pack });
  closing.throwIfAborted();
}

function isJson({ requestHeader }: HandlerContext): boolean {
  return requestHeader.get("content-type")?.includes("json") === true;
}
