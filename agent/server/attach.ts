import { create } from "@bufbuild/protobuf";
import {
  AppError,
  type AttachRequest,
  type AttachResponse,
  type AttachStart,
  AttachStart_Role as Role,
  cutChars,
  RequestRefusedSchema,
} from "../../proto/index.ts";
import type { AgentCore } from "../agent-core.ts";
import type { AgentSession } from "../session/session.ts";
import { eventStream } from "./event-stream.ts";
import type { CallContext } from "./grpc-service.ts";
import { helloOf } from "./hello.ts";
import { mergeUntilFirstEnds } from "./merge.ts";

const MAX_REFUSED_ID_LENGTH = 128;

type Response = AttachResponse["response"];

/** Streams the session's events to somebody who may also steer it, as far as the role goes. */
export async function* attach(
  core: AgentCore,
  requests: AsyncIterable<AttachRequest>,
  { signal }: CallContext,
): AsyncGenerator<{ response: Response }> {
  const iterator = requests[Symbol.asyncIterator]();
  const start = await readStart(iterator);
  const session = core.sessions.require(start.sessionId);
  using seat = start.role === Role.OWNER ? core.owner.take() : undefined;
  const ended = seat === undefined ? signal : AbortSignal.any([signal, seat.signal]);
  yield { response: helloOf(core, session) };
  const events = eventStream(session.log, {
    afterSequence: start.afterSequence,
    heartbeatMs: core.timeouts.heartbeatMs,
    signal: ended,
  });
  const refusals = steer(session, start.role, { [Symbol.asyncIterator]: () => iterator }, ended);
  for await (const response of mergeUntilFirstEnds<Response>(events, refusals)) yield { response };
  seat?.signal.throwIfAborted();
}

async function readStart(iterator: AsyncIterator<AttachRequest>): Promise<AttachStart> {
  const first = await iterator.next();
  if (first.done !== true && first.value.request.case === "attach") return first.value.request.value;
  throw new AppError("ATTACH_EXPECTED", "The first message of Attach must be attach.");
}

/** Does what is asked for and yields what it refuses. A caller that says no more goes on watching. */
async function* steer(
  session: AgentSession,
  role: Role,
  requests: AsyncIterable<AttachRequest>,
  signal: AbortSignal,
): AsyncGenerator<Response> {
  for await (const { request } of requests) {
    if (signal.aborted) return;
    try {
      obey(session, role, request);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      const fields = { reason: error.reason, message: error.toSentence(), refusedId: idOf(request) };
      yield { case: "requestRefused", value: create(RequestRefusedSchema, fields) };
    }
  }
}

function obey(session: AgentSession, role: Role, request: AttachRequest["request"]): void {
  if (request.case !== undefined && request.case !== "attach") checkRole(role, request.case);
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
      return session.decisions.answer(request.value.requestId, request.value.answers);
    case "attach":
      throw new AppError("ATTACHED_ALREADY", "This stream is attached already.");
    case undefined:
      throw new AppError("REQUEST_UNKNOWN", "The request holds nothing that this agent knows.", {
        help: "GetAgentInfo says which version it is.",
      });
    default:
      request satisfies never;
  }
}

/** What the caller calls its request. */
function idOf(request: AttachRequest["request"]): string {
  switch (request.case) {
    case "userMessage":
      return cutChars(request.value.messageId, MAX_REFUSED_ID_LENGTH);
    case "permissionDecision":
    case "answer":
      return cutChars(request.value.requestId, MAX_REFUSED_ID_LENGTH);
    default:
      return "";
  }
}

function checkRole(role: Role, request: string): void {
  if (role === Role.OWNER || (role === Role.CONTROLLER && request !== "acknowledge")) return;
  const name = role === Role.CONTROLLER ? "A controller" : "An observer";
  throw new AppError("ROLE_INSUFFICIENT", `${name} may not send ${request}.`, {
    metadata: { role: name, request },
    help: request === "acknowledge" ? "Attach as owner." : "Attach as owner or controller.",
  });
}
