import {
  type ContextValues,
  createContextKey,
  type Interceptor,
  type StreamRequest,
  type UnaryRequest,
} from "@connectrpc/connect";
import { asAppError } from "../../proto/index.ts";
import { type Audit, noteFirst, PAGE } from "../callers/audit.ts";
import { callerOf } from "./caller.ts";

const notesKey = createContextKey<(what: string, outcome: string) => void>(() => {});

/** Returns what notes what was asked for on a call's stream, and how that went. It does nothing where calls are not noted. */
export function streamNotes(values: ContextValues): (what: string, outcome: string) => void {
  return values.get(notesKey);
}

/** Interceptor that notes each call over TCP once it has been answered, or has begun to be. */
export function auditCalls(audit: Audit): Interceptor {
  return (next) => async (request) => {
    const { local, page = false, authorized, remote } = callerOf(request.contextValues);
    const way = page ? "page" : "control";
    const method = request.method.name;
    // A stranger's call is noted where it is refused, unread.
    if ((local && !page) || !authorized) return next(request);
    let sessionId = "";
    const write = (outcome: string, what = method) =>
      audit.note({ caller: page ? PAGE : (remote?.name ?? ""), way, method: what, sessionId, outcome });
    let noted = false;
    const note = (outcome: string) => {
      if (!noted) write(outcome);
      noted = true;
    };
    request.contextValues.set(notesKey, (what, outcome) => write(outcome, `${method}.${what}`));
    const onMessage = (message: object) => {
      sessionId ||= sessionIdIn(message);
    };
    try {
      const response = await next(request.stream ? reading(request, onMessage) : unary(request, onMessage));
      if (response.stream) return { ...response, message: noteFirst(response.message, note) };
      sessionId ||= sessionIdIn(response.message);
      note("ok");
      return response;
    } catch (error) {
      note(asAppError(error).reason);
      throw error;
    }
  };
}

function unary(request: UnaryRequest, onMessage: (message: object) => void): UnaryRequest {
  onMessage(request.message);
  return request;
}

function reading(request: StreamRequest, onMessage: (message: object) => void): StreamRequest {
  const { message: messages } = request;
  const read = async function* () {
    for await (const message of messages) {
      onMessage(message);
      yield message;
    }
  };
  return { ...request, message: read() };
}

/** The id of the session that a message names, wherever the contract has it. */
function sessionIdIn(message: object): string {
  const { sessionId, session, request } = message as {
    sessionId?: string;
    session?: { id?: string };
    request?: { value?: { sessionId?: string } };
  };
  return sessionId || session?.id || request?.value?.sessionId || "";
}
