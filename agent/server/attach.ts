import {
  type AttachRequest,
  type AttachResponse,
  AttachStart_Role as Role,
  eventFeed,
  readAttachStart,
  type Steering,
  steer,
} from "../../proto/index.ts";
import type { AgentCore } from "../agent-core.ts";
import type { AgentSession } from "../session/session.ts";
import type { CallContext } from "./grpc-service.ts";
import { helloOf } from "./hello.ts";

/** Streams the session's events to a caller that may steer it too, as far as its role permits. */
export async function* attach(
  core: AgentCore,
  requests: AsyncIterable<AttachRequest>,
  { signal: called }: CallContext,
): AsyncGenerator<{ response: AttachResponse["response"] }> {
  const { start, rest } = await readAttachStart(requests);
  const { role, afterSequence } = start;
  const session = core.sessions.require(start.sessionId);
  using seat = role === Role.OWNER ? core.owner.take() : undefined;
  const signal = seat === undefined ? called : AbortSignal.any([called, seat.signal]);
  yield { response: helloOf(core, session) };
  const batches = session.log.read({ afterSequence, signal });
  const others = steer(rest, { role, signal, obey: (request) => obey(session, request) });
  const { heartbeatMs } = core.timeouts;
  try {
    for await (const response of eventFeed(batches, { heartbeatMs, others })) yield { response };
  } finally {
    // A newer owner speaks for itself.
    if (seat?.signal.aborted === false) session.decisions.ownerGone();
  }
  seat?.signal.throwIfAborted();
}

function obey(session: AgentSession, request: Steering<AttachRequest>): void {
  switch (request.case) {
    case "acknowledge":
      return session.log.acknowledge(request.value.sequence);
    case "userMessage":
      return session.sendMessage(request.value.text, request.value.messageId);
    case "interrupt":
      return session.interrupt();
    case "stop":
      return session.stop(request.value.reason);
    case "permissionDecision":
      return session.decisions.decide(request.value.requestId, request.value);
    case "answer":
      return session.decisions.answer(request.value.requestId, request.value.answers, request.value.decider);
    case "audience":
      return session.decisions.audience(request.value.present);
    default:
      request satisfies never;
  }
}
