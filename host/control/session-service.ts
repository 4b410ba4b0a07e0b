import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
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
import type { SessionsNews } from "../session/sessions.ts";
import { attach } from "./attach.ts";
import { callerOf } from "./caller.ts";
import { cutSession } from "./cut-session.ts";
import { dial } from "./dial.ts";
import { type StreamOptions, streamEvents } from "./stream-events.ts";
import { toAnswer } from "./to-answer.ts";
import { receiveUpload, type UploadTaker } from "./upload-snapshot.ts";

const MAX_REQUEST_ID_BYTES = 128;

/** Returns the implementation of SessionService. */
export function sessionService(options: StreamOptions & { uploads: UploadTaker }): ServiceImpl<typeof SessionService> {
  const { sessions, uploads, heartbeatMs, closing } = options;
  return {
    async createSession({ spec, container, parent, requestId }, context) {
      // Which directory of this machine is read is the user's to say.
      if (spec?.repository?.snapshot?.uploadId === "" && !callerOf(context.values).local) throw snapshotNotLocal();
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
    attach: (requests, context) => attach(options, requests, context),
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
    async markTaken({ sessionId, taken }) {
      await sessions.markTaken(sessionId, taken);
      return {};
    },
    async deleteSession({ sessionId, discard }) {
      await sessions.delete(sessionId, { discard });
      return {};
    },
    async *readArtifact({ sessionId, kind, offset }) {
      using opened = await sessions.openArtifact(sessionId, requireArtifactKind(kind));
      yield* artifactMessages(opened.artifact, offset, (offset) => opened.read({ offset }));
    },
    dial: (requests, context) => dial(sessions, requests, { signal: AbortSignal.any([context.signal, closing]) }),
    async *readChanges({ sessionId }) {
      using opened = await sessions.openArtifact(sessionId, Artifact_Kind.PATCH);
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
