import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { AppError, AttachStart_Role as Role, readAttachStart, type Steering, steer } from "../../proto/index.ts";
import type { AttachRequest, AttachResponseSchema } from "../../proto/control.ts";
import type { Sessions } from "../session/sessions.ts";
import { streamNotes } from "./audit-calls.ts";
import { type StreamOptions, streamEvents } from "./stream-events.ts";
import { toAnswer } from "./to-answer.ts";

/** Streams a session's events to a caller that may steer it too, as far as its role permits. */
export async function* attach(
  options: StreamOptions,
  requests: AsyncIterable<AttachRequest>,
  context: HandlerContext,
): AsyncGenerator<MessageInitShape<typeof AttachResponseSchema>> {
  const { start, rest } = await readAttachStart(requests);
  const { role, sessionId } = start;
  if (role === Role.OWNER) {
    throw new AppError("ROLE_RESERVED", "The owner of every session is the host itself.", {
      help: "Attach as controller or observer.",
    });
  }
  const obeyed = (request: Steering<AttachRequest>) => obey(options.sessions, sessionId, request);
  const note = streamNotes(context.values);
  const others = steer(rest, {
    role,
    signal: context.signal,
    obey: obeyed,
    onDone: ({ case: kind }, outcome) => kind !== undefined && note(kind, outcome),
  });
  for await (const response of streamEvents(options, start, { context, others })) yield { response };
}

async function obey(sessions: Sessions, sessionId: string, request: Steering<AttachRequest>): Promise<void> {
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
    default:
      request satisfies never;
  }
}
