import { create } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { Logger } from "pino";
import {
  AnswerSchema,
  AppError,
  Artifact_Kind,
  artifactMessages,
  ContainerSpecSchema,
  feed,
  PermissionDecisionSchema,
  requireArtifactKind,
  SessionSpecSchema,
} from "../../proto/index.ts";
import type { SessionService } from "../../proto/control.ts";
import { onBehalfOf } from "../callers/on-behalf-of.ts";
import type { Sessions, SessionsNews } from "../session/sessions.ts";
import { attach } from "./attach.ts";
import { callerOf } from "./caller.ts";
import { cutSession } from "./cut-session.ts";
import { dial } from "./dial.ts";
import { type StreamOptions, streamEvents } from "./stream-events.ts";
import { toAnswer } from "./to-answer.ts";
import { receiveUpload, type UploadTaker } from "./upload-snapshot.ts";

const MAX_REQUEST_ID_BYTES = 128;

/** Returns the implementation of SessionService. */
export function sessionService(
  options: StreamOptions & { uploads: UploadTaker; logger: Logger },
): ServiceImpl<typeof SessionService> {
  const { sessions, uploads, heartbeatMs, closing, logger } = options;
  const sessionsFor = ({ values }: HandlerContext): Sessions => {
    const { remote } = callerOf(values);
    return remote === undefined ? sessions : onBehalfOf(sessions, { caller: remote.name, logger });
  };
  return {
    async createSession({ spec, container, parent, requestId }, context) {
      // Which directory of this machine is read is the user's to say.
      if (spec?.repository?.snapshot?.uploadId === "" && !callerOf(context.values).local) throw snapshotNotLocal();
      if (Buffer.byteLength(requestId) > MAX_REQUEST_ID_BYTES) {
        throw new AppError("REQUEST_ID_TOO_LONG", `The request id has more than ${MAX_REQUEST_ID_BYTES} bytes.`);
      }
      const session = await sessionsFor(context).create({
        spec: spec ?? create(SessionSpecSchema),
        container: container ?? create(ContainerSpecSchema),
        ...(parent !== "" && { parent }),
        ...(requestId !== "" && { requestId }),
      });
      return { session };
    },
    uploadSnapshot: (requests, { signal }) => {
      return receiveUpload(uploads, requests, { signal: AbortSignal.any([signal, closing]) });
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
    attach: (requests, context) => attach({ ...options, sessions: sessionsFor(context) }, requests, context),
    async *watchEvents({ sessionId, afterSequence }, context) {
      for await (const response of streamEvents(options, { sessionId, afterSequence }, { context })) yield { response };
    },
    async *watchSessions({ sessionIds, states, parent, cursor }, context) {
      const signal = AbortSignal.any([context.signal, closing]);
      const request = { ids: sessionIds, states, cursor, signal, ...(parent !== "" && { parent }) };
      for await (const response of feed(sessions.watchAll(request), { heartbeatMs, toItem: cutNews }))
        yield { response };
      closing.throwIfAborted();
    },
    async sendMessage({ sessionId, message }, context) {
      await sessionsFor(context).sendMessage(sessionId, {
        text: message?.text ?? "",
        messageId: message?.messageId ?? "",
      });
      return {};
    },
    async decidePermission({ sessionId, decision }, context) {
      await sessionsFor(context).decide(sessionId, decision ?? create(PermissionDecisionSchema));
      return {};
    },
    async answerQuestion({ sessionId, answer }, context) {
      await sessionsFor(context).answer(sessionId, toAnswer(answer ?? create(AnswerSchema)));
      return {};
    },
    async interruptSession({ sessionId }, context) {
      await sessionsFor(context).interrupt(sessionId);
      return {};
    },
    async stopSession({ sessionId, reason }, context) {
      await sessionsFor(context).stop(sessionId, { reason });
      return {};
    },
    async markTaken({ sessionId, taken }, context) {
      await sessionsFor(context).markTaken(sessionId, taken);
      return {};
    },
    async deleteSession({ sessionId, discard }, context) {
      await sessionsFor(context).delete(sessionId, { discard });
      return {};
    },
    async *readArtifact({ sessionId, kind, offset }, context) {
      using opened = await sessionsFor(context).openArtifact(sessionId, requireArtifactKind(kind));
      yield* artifactMessages(opened.artifact, offset, (offset) => opened.read({ offset }));
    },
    dial: (requests, context) =>
      dial(sessionsFor(context), requests, { signal: AbortSignal.any([context.signal, closing]) }),
    async *readChanges({ sessionId }, context) {
      using opened = await sessionsFor(context).openArtifact(sessionId, Artifact_Kind.PATCH);
      yield { totalSizeBytes: opened.artifact.sizeBytes };
      for await (const data of opened.read()) yield { data };
    },
  };
}

function cutNews(news: SessionsNews): SessionsNews {
  if (news.case === "updates") news.value.sessions.forEach(cutSession);
  return news;
}

function snapshotNotLocal(): AppError {
  return new AppError(
    "CALLER_REMOTE",
    "Only callers on the host's private socket may name a snapshot that they have not uploaded.",
    {
      help: "Upload it (UploadSnapshot), or name the repository by its https URI.",
    },
  );
}
