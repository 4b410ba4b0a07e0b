import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  AppError,
  asAppError,
  type AttachStart,
  AttachStart_Role as Role,
  RequestRefusedSchema,
} from "../../proto/index.ts";
import type { AttachRequest, AttachResponseSchema } from "../../proto/control.ts";
import type { Sessions } from "../session/sessions.ts";
import type { SessionFeed } from "./session-feed.ts";
import { openFeed, type SessionServiceOptions, toAnswer } from "./session-service.ts";

/** Streams a session's events to somebody who may also steer it, as far as the role goes. */
export async function* attach(
  options: SessionServiceOptions,
  requests: AsyncIterable<AttachRequest>,
  context: HandlerContext,
): AsyncGenerator<MessageInitShape<typeof AttachResponseSchema>> {
  const iterator = requests[Symbol.asyncIterator]();
  const start = await readStart(iterator);
  const { session, feed } = await openFeed(options, start, context);
  yield { response: { case: "session", value: session } };
  // Ends with the call. A caller that says no more, or breaks off, has its events' end to learn it from.
  steer(options.sessions, start, { [Symbol.asyncIterator]: () => iterator }, feed).catch(() => {});
  for await (const response of feed.read()) yield { response };
  options.closing.throwIfAborted();
}

async function readStart(iterator: AsyncIterator<AttachRequest>): Promise<AttachStart> {
  const first = await iterator.next();
  if (first.done === true || first.value.request.case !== "attach") {
    throw new AppError("ATTACH_EXPECTED", "The first message of Attach must be attach.");
  }
  const start = first.value.request.value;
  if (start.role === Role.OWNER) {
    throw new AppError("ROLE_RESERVED", "The owner of every session is the host itself.", {
      help: "Attach as controller or observer.",
    });
  }
  return start;
}

/** Does what is asked for, one after the other, and tells what it refuses. */
async function steer(
  sessions: Sessions,
  start: AttachStart,
  requests: AsyncIterable<AttachRequest>,
  feed: SessionFeed,
): Promise<void> {
  for await (const { request } of requests) {
    try {
      await obey(sessions, start, request);
    } catch (error) {
      const known = asAppError(error);
      const refused = { reason: known.reason, message: known.toSentence(), refusedId: idOf(request) };
      await feed.refuse(create(RequestRefusedSchema, refused));
    }
  }
}

/** What names a request to whoever made it. */
function idOf(request: AttachRequest["request"]): string {
  if (request.case === "userMessage") return request.value.messageId;
  return request.case === "permissionDecision" || request.case === "answer" ? request.value.requestId : "";
}

async function obey(sessions: Sessions, start: AttachStart, request: AttachRequest["request"]): Promise<void> {
  const { sessionId, role } = start;
  if (role !== Role.CONTROLLER && request.case !== undefined && request.case !== "attach") {
    throw new AppError("ROLE_INSUFFICIENT", `An observer may not send ${request.case}.`, {
      help: "Attach as controller.",
      metadata: { request: request.case },
    });
  }
  switch (request.case) {
    case "userMessage":
      return sessions.sendMessage(sessionId, request.value);
    case "interrupt":
      return sessions.interrupt(sessionId);
    case "stop":
      return sessions.stop(sessionId, { reason: request.value.reason });
    case "permissionDecision":
      return sessions.decide(sessionId, request.value);
    case "answer":
      return sessions.answer(sessionId, toAnswer(request.value));
    case "attach":
      throw new AppError("ATTACHED_ALREADY", "This stream is attached already.");
    case undefined:
      throw new AppError("REQUEST_UNKNOWN", "The request holds nothing that this host knows.", {
        help: "GetHostInfo says which version it is.",
      });
    default:
      request satisfies never;
  }
}
